"""What of what was given to usher can be read where it should not be: in files of a store, a database's dump, a log. One check for all
of them, which also shows each time that it finds what is there."""

import base64
import re

# The shortest that is looked for, in bytes: shorter ones turn up by chance.
SHORTEST = 6


def forms(word):
    """How a word may be written: as it is, in other cases, as UTF-16, in hexadecimal and base64, the latter at each of three offsets."""
    plain = word if isinstance(word, bytes) else word.encode()
    texts = {plain} if isinstance(word, bytes) else {plain, word.lower().encode(), word.upper().encode()}
    for text in list(texts):
        try:
            texts |= {text.decode().encode("utf-16-le"), text.decode().encode("utf-16-be")}
        except UnicodeDecodeError:
            pass
    found = set(texts)
    for text in texts:
        found |= {text.hex().encode(), text.hex().upper().encode(), text[::-1]}
        for before in range(3):
            # Without what depends on the neighbours.
            encoded = base64.b64encode(b"\0" * before + text + b"\0" * (-(before + len(text)) % 3))
            inner = encoded[(0, 2, 3)[before]:len(encoded) - (0, 2, 3)[-(before + len(text)) % 3]]
            found |= {inner, inner.replace(b"+", b"-").replace(b"/", b"_")}
    return {form for form in found if len(form) >= SHORTEST}


def unhexed(dump):
    """A dump with what its binary columns hold, as bytes."""
    return dump + b"\n" + b"\n".join(bytes.fromhex(column.decode()) for column in re.findall(rb"\\\\x((?:[0-9a-f]{2})+)", dump))


def read_folder(folder, meant=()):
    """Every file below a folder but those of the names that are meant to hold secrets, and the names of all files."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.name not in meant]
    # Journals are laid out in advance: their zeros need no searching.
    blobs = {str(path): re.sub(rb"\0{256,}", b"\0" * 256, path.read_bytes()) for path in files}
    blobs["names of files"] = "\n".join(str(path.relative_to(folder)) for path in folder.rglob("*")).encode()
    return blobs


def found(blobs, words):
    """Every word that any of the blobs shows, with the form and the place."""
    return [(word, form, place) for word in words for form in forms(word) for place, blob in blobs.items() if form in blob]


def check(blobs, words, least_bytes):
    """Nothing of `words` is in `blobs`; and the search finds each of them in each form, wherever it is put in a copy."""
    words = [word for word in words if len(word) >= SHORTEST]
    size = sum(map(len, blobs.values()))
    if size < least_bytes:
        raise AssertionError(f"{size} bytes were searched, of {least_bytes} at least: what was written is not there")
    if readable := found(blobs, words):
        raise AssertionError(f"readable: {[(str(word)[:40], form[:40], place) for word, form, place in readable[:5]]}")
    largest = max(blobs, key=lambda place: len(blobs[place]))
    for word in words[:: max(1, len(words) // 5)]:
        for form in forms(word):
            half = len(blobs[largest]) // 2
            copy = {largest: blobs[largest][:half] + form + blobs[largest][half:]}
            if not found(copy, [word]):
                raise AssertionError(f"the search does not find {form[:40]}, which was put there")
    return size
