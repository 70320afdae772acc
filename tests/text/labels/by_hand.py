"""Labellers as a user writes them."""

NAMES = ("none", "odd", "even")


def vowels_so_far(text):
    """Whether an odd or an even number of vowels was read."""
    count, tags = 0, []
    for char in text:
        count += char in "aeiou"
        tags.append(1 if count % 2 else 2)
    return tags


def before_a_vowel(text):
    """Knows the next letter."""
    return [int(text[i + 1 : i + 2] in tuple("aeiou")) for i in range(len(text))]


def too_few(text):
    """Forgets the last character."""
    return [0] * (len(text) - 1)
