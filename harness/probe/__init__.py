"""Loaded into the app under test. Standard library only, Python 3.9 or later, imports nothing of `harness`.

The package is loaded from its folder under the private name `_gradsoak_probe`, because the app's interpreter
need not have gradsoak installed.
"""

# The entry point loads the package under this name in the app.
PACKAGE = "_gradsoak_probe"
