"""Entry point in the target's interpreter: `python harness/probe/__main__.py SOCKET APP [PORT]`.

Opens the probe's socket, then runs the app's file as `python APP` would, on the port if one is given.
"""

from __future__ import annotations

import importlib.util
import os
import sys


def _load_package() -> None:
    here = os.path.dirname(os.path.abspath(__file__))
    # Python put this folder first on the path; the app must not be able to import from it by accident.
    sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry or ".") != here]
    spec = importlib.util.spec_from_file_location(
        "_gradsoak_probe", os.path.join(here, "__init__.py"), submodule_search_locations=[here]
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["_gradsoak_probe"] = module
    spec.loader.exec_module(module)


def main() -> None:
    """Start the probe, then the app."""
    _, socket_path, app_path, *port = sys.argv
    _load_package()
    bootstrap = importlib.import_module("_gradsoak_probe.bootstrap")
    server = importlib.import_module("_gradsoak_probe.server")
    settings = importlib.import_module("_gradsoak_probe.gradio_overrides").take(os.environ)
    launch = bootstrap.LaunchHook(int(port[0]) if port else None, settings)
    launch.install()
    for module, callback in settings.callbacks().items():
        sys.meta_path.insert(0, bootstrap.AfterImport(module, callback))
    state = importlib.import_module("_gradsoak_probe.gradio_state")
    sys.meta_path.insert(0, bootstrap.AfterImport("gradio.state_holder", state.remember_holders))
    server.start(socket_path, launch)
    bootstrap.run_app(app_path, launch)


if __name__ == "__main__":
    main()
