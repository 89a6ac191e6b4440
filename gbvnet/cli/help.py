"""The help of the command line: one line of usage, the example and the words first."""

import textwrap

from .command import COMMANDS

# Words of this field and of this package, and the options by which they are met.
_TERMS = {
    "window": (
        ("--modality", "--systems"),
        "a short piece of a recording, 1 second unless prepared otherwise; predicted by itself",
    ),
    "facebio": (
        ("--modality", "--systems"),
        "face and all signals together. face: the face alone; bio: all signals alone; eeg: EEG alone; peri: the "
        "peripheral signals, which is all but EEG; faceeeg, faceperi: the face with these",
    ),
    "gate": (
        ("--model.fusion",),
        "the factors, 0 to 1, by which GBV-Net multiplies the features of face and signals before it joins them; one "
        "modality alone has none",
    ),
    "protocol": (
        ("--protocol",),
        "what is never both in training and in test: trial, stimulus, subject, or both of the last; window keeps "
        "nothing apart, so its scores are LEAKY: too high",
    ),
}


def terms(name: str, parser) -> str:
    """Explanations of the words that a command's options use."""
    known = parser._option_string_actions
    lines = [
        textwrap.fill(text, 76, initial_indent=f"  {term:<10}", subsequent_indent=" " * 12)
        for term, (options, text) in _TERMS.items()
        if any(option in known for option in options) or (term == "gate" and name in ("predict", "live", "app"))
    ]
    return "\n\nwords:\n" + "\n".join(lines) if lines else ""


def usage_line(name: str, parser) -> str:
    """One line, whatever the number of options."""
    places = []
    for action in parser._actions:
        if action.option_strings:
            continue
        if action.metavar is None and not action.choices:
            action.metavar = action.dest.upper()
        place = action.metavar or action.dest.upper()
        places.append(f"[{place}]" if action.nargs in ("?", "*") else place)
    return " ".join(["gbvnet", name, *places, "[options]"])


# The parser's own words for its own options, as ours.
_OF_THE_PARSER = {
    "Path to a configuration file.": "a YAML file with the settings of this group",
    "Show this help message and exit.": "show this help and exit",
}


def help_format():
    from argparse import SUPPRESS, RawDescriptionHelpFormatter

    from jsonargparse import DefaultHelpFormatter

    class Format(DefaultHelpFormatter, RawDescriptionHelpFormatter):
        """Keep the example's lines as they are; of an option its help and its default, and no types of Python."""

        def _get_help_string(self, action) -> str:
            text = _OF_THE_PARSER.get(action.help, action.help or "")
            if action.dest == "print_config":
                return "print all settings as a YAML file for --config, and exit"
            said = action.default in (None, SUPPRESS, "", ()) or (action.nargs == 0 and not action.default)
            shown = action.option_strings and not said and "%(default)" not in text and action.dest != "help"
            return f"{text} (default: %(default)s)" if shown else text

    return Format


def overview() -> str:
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {c.help}" for name, c in COMMANDS.items()]
    return "\n".join(
        [
            "usage: gbvnet COMMAND ...",
            "",
            "Emotion recognition from a face video together with physiological signals, compared without leaks.",
            "",
            *lines,
            "",
            "gbvnet COMMAND --help tells more, with an example.",
        ]
    )
