"""The documents: their commands are run, their links lead somewhere, and the book is made of them."""

from . import book, pages


def all_cases(binary):
    cases = [("the book is built, and no link in it is broken", book.built, ())]
    return cases + [(f"the commands of {page.name}", page.run, (binary,)) for page in pages.with_commands()]
