"""What all errors of this package have in common, and the one that no part calls its own."""

from __future__ import annotations


class BiomedParseError(ValueError):
    """Something that whoever runs the program can mend; the message is a sentence that says how.

    The command line prints it and the dock shows it. Any other error, but for those of the operating system and for
    want of memory, is a defect of the program and keeps its traceback.
    """


class SettingError(BiomedParseError):
    """A value that was given for a setting, an option or an argument cannot be used."""
