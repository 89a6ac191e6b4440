"""The documentation site: Sphinx reads this file. `make docs` builds it into build/docs/html.

The pages of docs/ are plain Markdown and are read on their own, too. What is made from the code is written before the
build, into folders that git ignores: the reference of the public names (docs/api), a page for each command
(docs/commands) and the gallery of executed examples (docs/gallery).
"""

import os
import sys
from pathlib import Path

DOCS = Path(__file__).parent
sys.path.insert(0, str(DOCS / "extensions"))
sys.path.insert(0, str(DOCS.parent))  # the package of this checkout, whichever one is installed

import gbvnet  # noqa: E402

# A process without a display; and a step of training on few cores should not be shared out over more threads.
os.environ["MPLBACKEND"] = "Agg"

project = "gbvnet"
author = "The gbvnet developers"
copyright = author
version = release = gbvnet.__version__
language = "en"

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
    "api_pages",
    "command_pages",
    "docstrings",
    "pages_outside",
    "settings_page",
]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
exclude_patterns = ["extensions", "gallery/**.ipynb", "gallery/**.py", "gallery/**.zip"]
highlight_language = "text"
default_role = "literal"
smartquotes = False  # an option is --folds, not –folds

# --- pages ---

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 4  # the anchors that GitHub gives to headings
myst_fence_as_directive: list[str] = []

# --- references ---

nitpicky = True
# Names of other packages: their inventories are on the network, and a build needs none.
nitpick_ignore_regex = [
    (r"py:.*", r"(?!gbvnet\b).*"),
    # In signatures: private types and type variables, and types of values that are only handed on.
    (r"py:.*", r"gbvnet\.[\w.]*\b_\w+"),
    (r"py:.*", r"gbvnet\.network\.augment\.T|gbvnet\.parallel\.tasks\.Item|gbvnet\.evaluation\.targets\.AnyConfig"),
    (r"py:.*", r"gbvnet\.evaluation\.(class_sums|class_metrics|score_properties|outside_labels)\.\w+"),
    (r"py:.*", r"gbvnet\.network\.checkpoint\.(trained_on|tested_accuracy)\.\w+"),
    (r"py:.*", r"gbvnet\.(inference\.model_outputs|network\.presence)\.\w+"),
    (r"py:.*", r"gbvnet\.report\.(audit_results|comparison_section|document)\.\w+"),
]

# --- the reference of the public names ---

autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_typehints = "signature"
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 96
add_module_names = False
toc_object_entries_show_parents = "hide"
viewcode_line_numbers = True

# --- the gallery ---

sphinx_gallery_conf = {
    "examples_dirs": "../examples/gallery",
    "gallery_dirs": "gallery",
    "filename_pattern": r"[\\/]\d\d_\w+\.py$",  # all of them are executed
    "within_subsection_order": "FileNameSortKey",
    "plot_gallery": os.environ.get("GALLERY", "1") != "0",
    "abort_on_example_error": True,
    "capture_repr": (),
    "image_scrapers": ("matplotlib",),
    "matplotlib_animations": False,
    "download_all_examples": False,
    "show_memory": False,
    "show_signature": False,
    "min_reported_time": 1,
    "write_computation_times": False,
    "remove_config_comments": True,
    "doc_module": ("gbvnet",),
    "backreferences_dir": None,
    "reference_url": {"gbvnet": None},
    "thumbnail_size": (480, 320),
}

# --- appearance ---

html_theme = "pydata_sphinx_theme"
html_title = "gbvnet"
html_static_path = ["_static"]
html_css_files = ["gbvnet.css"]
html_show_sphinx = False
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "navbar_align": "left",
    "header_links_before_dropdown": 8,
    "navigation_with_keys": False,
    "show_nav_level": 1,
    "show_toc_level": 2,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}
html_sidebars = {"index": []}
