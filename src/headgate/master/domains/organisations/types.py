"""The types that describe organisations."""

from headgate.master.api.types import Body, Moment, Name, Versioned


class NewOrganisation(Body):
    """An organisation to make."""

    name: Name


class Organisation(Versioned):
    """A tenant: nothing of it is seen by others."""

    name: str
    created_at: Moment
