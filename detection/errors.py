"""The one kind of error that a user can mend."""


class UserError(Exception):
    """What went wrong, in one plain sentence that names the file, the cause and the way out.

    Scripts print it without a traceback and exit with code 2.
    """
