"""A user's login: the slate they are shown, made of the published lists and today's signals."""

from typing import TYPE_CHECKING

from firstchair.exports import deferred

if TYPE_CHECKING:
    from firstchair.login.preview import Preview, preview

__all__ = ["Preview", "preview"]

__getattr__ = deferred(__name__, __all__, ("preview",))
