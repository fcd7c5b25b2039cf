"""Loaded into the app under test. Standard library only, Python 3.9 or later, imports nothing of `harness`.

The package is loaded from its folder under the private name `_gradsoak_probe`, because the app's interpreter
need not have gradsoak installed.
"""

# Under this name the entry point loads the package in the app.
PACKAGE = "_gradsoak_probe"
