"""The help of the command line: one line of usage, the example and the terms come first."""

import textwrap

from .command import COMMANDS

# Terms of this field and of this package, and the options that use them.
_TERMS = {
    "window": (
        ("--modality", "--systems"),
        "a short piece of a recording, 1 second by default; each window is predicted separately",
    ),
    "facebio": (
        ("--modality", "--systems"),
        "face and all signals together. face: the face alone; bio: all signals alone; eeg: EEG alone; peri: the "
        "peripheral signals, all signals but EEG; faceeeg, faceperi: the face with these",
    ),
    "gate": (
        ("--model.fusion",),
        "factors between 0 and 1 by which GBV-Net multiplies the features of face and signals before it joins them; a "
        "single modality has none",
    ),
    "protocol": (
        ("--protocol",),
        "what is never in both training and test: trial, stimulus, subject, or the last two; window separates "
        "nothing, so its scores are LEAKY: too high",
    ),
}


def used_terms(name: str, parser) -> dict[str, str]:
    """Return the terms that a command's options use, each with its explanation."""
    known = parser._option_string_actions
    return {
        term: text
        for term, (options, text) in _TERMS.items()
        if any(option in known for option in options) or (term == "gate" and name in ("predict", "live", "app"))
    }


def terms(name: str, parser) -> str:
    """Return explanations of the terms that a command's options use, as lines of its help."""
    lines = [
        textwrap.fill(text, 76, initial_indent=f"  {term:<10}", subsequent_indent=" " * 12)
        for term, text in used_terms(name, parser).items()
    ]
    return "\n\nterms:\n" + "\n".join(lines) if lines else ""


def usage_line(name: str, parser) -> str:
    """Return the usage in one line, whatever the number of options."""
    places = []
    for action in parser._actions:
        if action.option_strings:
            continue
        if action.metavar is None and not action.choices:
            action.metavar = action.dest.upper()
        place = action.metavar or action.dest.upper()
        places.append(f"[{place}]" if action.nargs in ("?", "*") else place)
    return " ".join(["gbvnet", name, *places, "[options]"])


# The parser's texts for its own options -> the texts shown instead.
_OF_THE_PARSER = {
    "Path to a configuration file.": "a YAML file with the settings of this group",
    "Show this help message and exit.": "show this help and exit",
}


def help_text(action) -> str:
    """Return the text of an option or argument, without its default."""
    if action.dest == "print_config":
        return "print all settings as a YAML file for --config, and exit"
    return _OF_THE_PARSER.get(action.help, action.help or "")


def has_shown_default(action) -> bool:
    """Return whether the default of an option stands in its help: not where it is none, or a switch that is off."""
    from argparse import SUPPRESS

    is_clear = action.default in (None, SUPPRESS, "", ()) or (action.nargs == 0 and not action.default)
    return bool(action.option_strings) and not is_clear and action.dest not in ("help", "print_config")


def help_format():
    """Return the class that formats the help of a command."""
    from argparse import RawDescriptionHelpFormatter

    from jsonargparse import DefaultHelpFormatter
    from typing_extensions import override

    class Format(DefaultHelpFormatter, RawDescriptionHelpFormatter):
        """Keep the lines of the example; show an option's help and default, without Python types."""

        @override
        def _get_help_string(self, action) -> str:
            text = help_text(action)
            shown = has_shown_default(action) and "%(default)" not in text
            return f"{text} (default: %(default)s)" if shown else text

    return Format


def overview() -> str:
    """Return the help of `gbvnet`: every command in a line."""
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {c.help}" for name, c in COMMANDS.items()]
    return "\n".join(
        [
            "usage: gbvnet COMMAND ...",
            "",
            "Emotion recognition from a face video together with physiological signals, compared without leakage.",
            "",
            *lines,
            "",
            "gbvnet COMMAND --help shows the options of a command, with an example.",
            "gbvnet --version shows the version, and what is installed: for reports of errors.",
        ]
    )
