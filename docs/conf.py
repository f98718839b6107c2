"""The documentation site; `python3 dev.py docs` builds it.

The source folder is the root of the repository, so that a link between two Markdown files is the
same on the site, on a code host and in an editor.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "docs" / "_ext"))

project = "ctxplug"
author = "The ctxplug authors"
copyright = "The ctxplug authors, MIT licence"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "ctxplug_site"]
root_doc = "docs/index"
include_patterns = [
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "docs/*.md",
    "docs/benchmarks/*.md",
    "docs/reference/*.md",
    "examples/README.md",
    "examples/*.ipynb",
    "integrations/README.md",
    "integrations/*/README.md",
    "plugins/README.md",
    "plugins/*/README.md",
]
exclude_patterns = [".*", "ctxplug", "tests", "**/tests", "**/.*", "**/__pycache__"]
nitpicky = True

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 4
myst_linkify_fuzzy_links = False

default_role = "name"
autodoc_typehints_format = "short"
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autoclass_content = "class"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
python_maximum_signature_line_length = 88
toc_object_entries_show_parents = "hide"

html_theme = "furo"
html_title = "ctxplug"
html_favicon = "_static/favicon.svg"
html_static_path = ["_static"]
html_css_files = ["ctxplug.css"]
html_copy_source = False
html_show_sphinx = False
html_search_language = "en+zh"
html_theme_options = {
    "navigation_with_keys": True,
    "top_of_page_buttons": [],
}
