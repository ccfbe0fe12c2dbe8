"""What can go wrong between driver and controller."""


class LinkError(RuntimeError):
    """The controller or its client library refused; the message is theirs."""


class RegistersTaken(LinkError):
    """Another client holds the registers that commands are written to."""


class ProcedureFailed(RuntimeError):
    """Why a start or a recovery was given up, and what to do."""


class Blocked(ProcedureFailed):
    """The state that the controller tells is in the way; the message holds for as long as it tells it."""
