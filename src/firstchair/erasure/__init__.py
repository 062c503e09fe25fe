"""Erasure: users taken out of everything that is ours, and the proof of it."""

from firstchair.erasure.erase import Erasure, forget, forget_users
from firstchair.erasure.verify import Verification, verify, verify_users

__all__ = ["Erasure", "Verification", "forget", "forget_users", "verify", "verify_users"]
