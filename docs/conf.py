"""How the documentation site is built: `make site`, or sphinx-build -W docs build/site."""

import starglot

project = "Starglot"
author = "The Starglot authors"
copyright = "The Starglot authors, MIT licence"
version = release = starglot.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.viewcode"]
root_doc = "index"
html_theme = "furo"
html_title = f"Starglot {version}"
html_show_sourcelink = False

# Anchors as GitHub makes them, so that a link works here and there.
myst_heading_anchors = 4
# Files of the project that are no pages of the site are shown where they are published.
suppress_warnings = ["myst.header", "misc.highlighting_failure"]

autodoc_typehints = "description"
autodoc_member_order = "bysource"
# Read for their docstrings alone: the pages are built without a language model's libraries.
autodoc_mock_imports = ["torch", "transformers", "peft"]
