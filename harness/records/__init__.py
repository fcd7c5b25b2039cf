"""L0: the records that a run is made of. Data only: nothing here reads, writes, or decides."""

from harness.records.bench import Bench, BenchRow, Interval
from harness.records.events import RunEvent, Seal, ShardSeal
from harness.records.manifest import (
    SCHEMA_VERSION,
    ClockAnchor,
    ExternalApp,
    GradioLimits,
    Machine,
    PlateauPlan,
    Profile,
    RunManifest,
    StateVariable,
)
from harness.records.operation import (
    LOAD_PHASE,
    TAB_ACTIONS,
    Effect,
    Error,
    Fail,
    HistoryRecord,
    Info,
    Invoke,
    Ok,
    Operation,
)
from harness.records.samples import GeneratorSample, LoadStatus, Plateau, ProbeSample, ProcessSample
from harness.records.verdicts import Anomaly, Check, Checks, Verdict, WitnessOperation, worst

__all__ = [
    "LOAD_PHASE",
    "SCHEMA_VERSION",
    "TAB_ACTIONS",
    "Anomaly",
    "Bench",
    "BenchRow",
    "Check",
    "Checks",
    "ClockAnchor",
    "Effect",
    "Error",
    "ExternalApp",
    "Fail",
    "GeneratorSample",
    "GradioLimits",
    "HistoryRecord",
    "Info",
    "Interval",
    "Invoke",
    "LoadStatus",
    "Machine",
    "Ok",
    "Operation",
    "Plateau",
    "PlateauPlan",
    "ProbeSample",
    "ProcessSample",
    "Profile",
    "RunEvent",
    "RunManifest",
    "Seal",
    "ShardSeal",
    "StateVariable",
    "Verdict",
    "WitnessOperation",
    "worst",
]
