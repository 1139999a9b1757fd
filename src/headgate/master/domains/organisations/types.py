"""The types that describe organisations."""

from headgate.master.api.filters import Prefix
from headgate.master.api.types import Body, Moment, Name, Versioned, Window


class OrganisationsWindow(Window):
    """The organisations that are asked for."""

    name_prefix: Prefix = None


class NewOrganisation(Body):
    """An organisation to make."""

    name: Name


class Organisation(Versioned):
    """A tenant: nothing of it is seen by others."""

    name: str
    created_at: Moment
