"""The config that the user writes: typed, validated, merged from several documents.

Takes text by name and never opens a file itself: what a document refers to is read through the
`Files` port.
"""
