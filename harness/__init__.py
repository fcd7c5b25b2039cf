"""gradsoak: load-testing and memory-profiling harness for Gradio apps that keep state.

This package stays empty on purpose: the load generator must be able to import `harness`
before gevent has patched the standard library.
"""

__version__ = "0.1.0"
