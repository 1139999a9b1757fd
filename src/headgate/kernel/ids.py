"""Names as types of their own: an object's name is not any text, nor is a blob's."""

from typing import NewType

ObjectName = NewType("ObjectName", str)
"""The name of an object, unique within its kind."""

BlobId = NewType("BlobId", str)
"""sha256 of a blob's bytes, 64 characters of lower-case hex."""
