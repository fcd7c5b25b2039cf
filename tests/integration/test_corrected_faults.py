"""A planted fault, corrected: the same people find nothing, so it was the mistake that was found and not the workload."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from harness import scenario
from harness.run_dir import RunDir
from tests.integration.cli import gradsoak

# Planted fault → lines of its app, and what stands there when they are right.
CORRECTIONS: dict[str, list[tuple[str, str]]] = {
    "fault_cached_function": [
        ("@functools.cache\n", ""),
        ("def chat(name, message):\n", "def chat(name, message, assistant):\n"),
        (
            "    assistant = prepare_assistant(name)\n",
            "    assistant = assistant or prepare_assistant(name)\n",
        ),
        ("    return assistant.answer", "    return assistant, assistant.answer"),
        ("    name = gr.", "    assistant = gr.State(None)\n    name = gr."),
        ("[name, message], [answer", "[name, message, assistant], [assistant, answer"),
    ],
    "fault_cached_picture": [('f"{colour}.svg"', 'f"{colour} {name}.svg"')],
    "fault_chain_global": [
        ("    global QUESTION\n    QUESTION = question\n", ""),
        ("def search():", "def search(QUESTION):"),
        (".then(search, None, result)", ".then(search, question, result)"),
    ],
    "fault_class_attribute": [("    items = []\n", "    def __init__(self):\n        self.items = []\n")],
    "fault_concurrent_events": [("concurrency_limit=None", "concurrency_limit=1")],
    "fault_counted_twice": [("    button.click(click, [label, clicks], [clicks, log])\n", "")],
    "fault_current_user": [
        ("def sign_in(name):\n", "def sign_in(name, current_user):\n"),
        (
            "    return current_user.name\n\n\ndef show",
            "    return current_user, current_user.name\n\n\ndef show",
        ),
        ("def show_account():", "def show_account(current_user):"),
        ("current_user = CurrentUser()\n", ""),
        ("    name = gr.Textbox", "    user = gr.State(CurrentUser())\n    name = gr.Textbox"),
        ("(sign_in, name, signed_in", "(sign_in, [name, user], [user, signed_in]"),
        ("(show_account, None", "(show_account, user"),
    ],
    "fault_debug_output": [("settings: {settings}", "settings: {sorted(settings)}")],
    "fault_deepcopy_self": [("        return self\n", "        return Assistant()\n")],
    "fault_incomplete_clear": [
        ("    return []\n", "    return [], []\n"),
        ("(clear, None, shown", "(clear, None, [items, shown]"),
    ],
    "fault_joined_text": [
        ('f"{text},{item}"', 'f"{text}\\n{item}"'),
        ('text.split(",")', 'text.split("\\n")'),
    ],
    "fault_lagging_replica": [("cycle([notes, replica])", "cycle([notes, notes])")],
    "fault_leak_per_request": [("    REQUESTS.append(", "    print(")],
    "fault_leak_per_session": [
        (
            "\n\nwith gr.",
            "\n\ndef forget(request: gr.Request):\n    VISITORS.pop(request.session_hash, None)\n\n\nwith gr.",
        ),
        ("\nif __name__", "    demo.unload(forget)\n\nif __name__"),
    ],
    "fault_mutable_default": [
        ("def click(label, clicks=[]):  # noqa: B006\n", "def click(label, clicks):\n"),
        ("    return len(clicks), clicks\n", "    return clicks, len(clicks), clicks\n"),
        ("    label = gr.Textbox", "    clicks = gr.State([])\n    label = gr.Textbox"),
        ("(click, label, [total, log]", "(click, [label, clicks], [clicks, total, log]"),
    ],
    "fault_native_buffer": [("    PICTURES.append(", "    print(")],
    "fault_not_returned": [
        ("    return count, clicks\n", "    return count, clicks, count, clicks\n"),
        ("], [total, log]", "], [count, clicks, total, log]"),
    ],
    "fault_reordered_writes": [
        ("    time.sleep(random.uniform(0.0, 0.3))\n", ""),
        ("background.submit(save, entry, request.session_hash)", "save(entry, request.session_hash)"),
    ],
    # Everything reaches the other copy in the order in which it was posted, and not only what one person posts.
    "fault_reply_before_question": [("    author = request.session_hash\n", '    author = "anybody"\n')],
    "fault_shared_queue": [
        ("        question = questions.get()\n", "        question, replies = questions.get()\n"),
        ("\nreplies = queue.Queue()\n", "\n"),
        (
            "    questions.put(question)\n",
            "    replies = queue.Queue()\n    questions.put((question, replies))\n",
        ),
    ],
    "fault_small_capacity": [("state_session_capacity=6", "state_session_capacity=10_000")],
    "fault_stale_cache": [("    return list(cache)\n", "    return list(notes)\n")],
    "fault_survives_reload": [
        ("CARTS = {}\n", ""),
        ("    cart = CARTS.setdefault(name, [])\n    return name, cart\n", "    return [], []\n"),
        (
            "def add(item, name):\n    CARTS[name].append(item)\n",
            "def add(item, cart):\n    cart.append(item)\n",
        ),
        ("    return CARTS[name]\n", "    return cart\n"),
    ],
    "fault_temporary_file": [('"report.txt"', 'f"report-{subject}.txt"')],
    "fault_unsafe_counter": [
        ("import gradio as gr\n", "import threading\n\nimport gradio as gr\n\nLOCK = threading.Lock()\n"),
        ("    likes = LIKES\n", "    LOCK.acquire()\n    likes = LIKES\n"),
        ("    return LIKES\n", "    LOCK.release()\n    return likes + 1\n"),
    ],
}

# A board for everybody that is kept in memory grows with what is posted, with the mistake and without it.
BOARDS = {"fault_lagging_replica", "fault_reply_before_question", "fault_stale_cache"}


def test_every_planted_fault_has_a_clean_twin() -> None:
    """A scenario of the same workload that must pass, or a correction below."""
    clean = {s.workload for s in scenario.bundled() if s.expect is None or s.expect.verdict == "pass"}
    faults = [s for s in scenario.bundled() if s.expect is not None and s.expect.verdict == "fail"]
    assert {s.name for s in faults if s.workload not in clean} <= set(CORRECTIONS)


@pytest.mark.slow
@pytest.mark.parametrize("name", CORRECTIONS)
def test_a_corrected_fault_passes(name: str, scenarios: Path, tmp_path: Path) -> None:
    for needed in {name, scenario.find(name).workload.parent.name}:
        shutil.copytree(scenarios / needed, tmp_path / needed)
    folder = tmp_path / name
    app = (folder / "app.py").read_text()
    for wrong, right in CORRECTIONS[name]:
        assert app.count(wrong) == 1, wrong
        app = app.replace(wrong, right)
    (folder / "app.py").write_text(app)
    done = gradsoak("run", folder, "--out", "run", "--seed", "7", "--json", cwd=tmp_path, timeout_s=600)
    checks = RunDir.open(tmp_path / "run").checks()
    failed = {check.name for check in checks.checks if check.verdict == "fail"}
    if name in BOARDS and failed:
        assert failed == {"leak-per-request"}, checks.reason
    else:
        assert done.json()["verdict"] == "pass", (checks.reason, done.err)
