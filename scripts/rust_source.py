"""A little reading of Rust source, enough for the rules that scripts/check_architecture.py checks.

It blanks comments and literals, and finds functions and test-only lines by matching brackets. It is no parser: code that only a
macro can explain is out of its reach, and it then finds less, not more.
"""

import re

RAW_STRING = re.compile(r'(?:br|cr|r)(#*)"')
CHAR_LITERAL = re.compile(r"b?'(?:\\(?:x[0-9a-fA-F]{2}|u\{[0-9a-fA-F_]+\}|.)|[^\\'\n])'")
FUNCTION = re.compile(r"\bfn\s+([A-Za-z_]\w*)")
TEST_ATTRIBUTE = re.compile(r"#!?\[\s*cfg\s*\(\s*(?:test\s*\)|all\s*\(\s*test\b)")
RECEIVER = re.compile(r"^(?:&\s*(?:'\w+\s*)?)?(?:mut\s+)?self\b")
OPENING, CLOSING = "([{", ")]}"


def blank(text):
    """Spaces in place of every character but line breaks."""
    return "".join(character if character == "\n" else " " for character in text)


def end_of_block_comment(source, start):
    """Position after the (possibly nested) block comment that begins at `start`."""
    depth, position = 0, start
    while position < len(source):
        if source.startswith("/*", position):
            depth, position = depth + 1, position + 2
        elif source.startswith("*/", position):
            depth, position = depth - 1, position + 2
            if depth == 0:
                return position
        else:
            position += 1
    return len(source)


def end_of_string(source, quote):
    """Position after the string whose opening quote is at `quote`."""
    position = quote + 1
    while position < len(source) and source[position] != '"':
        position += 2 if source[position] == "\\" else 1
    return min(position + 1, len(source))


def end_of_token(source, start):
    """Position after the comment or literal that begins at `start`, or `start` if none does."""
    if source.startswith("//", start):
        end = source.find("\n", start)
        return len(source) if end < 0 else end
    if source.startswith("/*", start):
        return end_of_block_comment(source, start)
    if source[start] == '"':
        return end_of_string(source, start)
    within_word = start > 0 and (source[start - 1].isalnum() or source[start - 1] == "_")
    if source[start] in "brc" and not within_word:
        raw = RAW_STRING.match(source, start)
        if raw:
            end = source.find('"' + raw.group(1), raw.end())
            return len(source) if end < 0 else end + 1 + len(raw.group(1))
        if source.startswith(('b"', 'c"'), start):
            return end_of_string(source, start + 1)
    if source[start] == "'" or (source.startswith("b'", start) and not within_word):
        literal = CHAR_LITERAL.match(source, start)
        if literal:
            return literal.end()
    return start


def strip(source):
    """The source with comments and literals blanked; lines and columns stay where they are."""
    pieces, position = [], 0
    while position < len(source):
        end = end_of_token(source, position)
        if end > position:
            pieces.append(blank(source[position:end]))
            position = end
        else:
            pieces.append(source[position])
            position += 1
    return "".join(pieces)


def line_of(code, position):
    """Line number, from 1."""
    return code.count("\n", 0, position) + 1


def matching(code, opening):
    """Position of the bracket that closes the one at `opening`; the end of the code if none does."""
    depth = 0
    for position in range(opening, len(code)):
        if code[position] in OPENING:
            depth += 1
        elif code[position] in CLOSING:
            depth -= 1
            if depth == 0:
                return position
    return len(code) - 1


def find_at_depth_zero(code, start, wanted):
    """First position from `start` outside brackets that holds one of `wanted`; None if there is none."""
    position = start
    while position < len(code):
        if code[position] in wanted:
            return position
        if code[position] in OPENING:
            position = matching(code, position)
        elif code[position] in CLOSING:
            return None
        position += 1
    return None


def end_of_generics(code, start):
    """Position after `<...>` at `start`; arrows inside are no brackets."""
    depth, position = 0, start
    while position < len(code):
        if code[position] == "<":
            depth += 1
        elif code[position] == ">" and code[position - 1] not in "-=":
            depth -= 1
            if depth == 0:
                return position + 1
        position += 1
    return len(code)


def split_parameters(text):
    """The parameters in a parameter list, receiver excluded."""
    parts, depth, current = [], 0, ""
    for position, character in enumerate(text):
        if character in OPENING + "<":
            depth += 1
        elif character in CLOSING or (character == ">" and text[position - 1] not in "-="):
            depth -= 1
        if character == "," and depth == 0:
            parts.append(current)
            current = ""
        else:
            current += character
    parts.append(current)
    parts = [part.strip() for part in parts if part.strip()]
    return [part for part in parts if not RECEIVER.match(part)]


def functions(code):
    """(name, line, lines from `fn` to the closing brace, parameters) of every function with a body."""
    found = []
    for match in FUNCTION.finditer(code):
        position = match.end()
        while position < len(code) and code[position].isspace():
            position += 1
        if code[position : position + 1] == "<":
            position = end_of_generics(code, position)
        opening = code.find("(", position)
        if opening < 0:
            continue
        closing = matching(code, opening)
        body = find_at_depth_zero(code, closing + 1, "{;")
        if body is None or code[body] == ";":
            continue
        first, last = line_of(code, match.start()), line_of(code, matching(code, body))
        found.append((match.group(1), first, last - first + 1, split_parameters(code[opening + 1 : closing])))
    return found


def test_items(code):
    """(first line, last line, name of the module if the item is `mod name;`) of every item under #[cfg(test)]."""
    found = []
    for attribute in TEST_ATTRIBUTE.finditer(code):
        first = line_of(code, attribute.start())
        if code.startswith("#!", attribute.start()):
            found.append((1, line_of(code, len(code)), None))
            continue
        position = matching(code, code.index("[", attribute.start())) + 1
        end = find_at_depth_zero(code, skip_attributes(code, position), "{;,")
        if end is None:
            continue
        item = code[position:end]
        module = re.search(r"\bmod\s+(\w+)\s*$", item) if code[end] == ";" else None
        last = matching(code, end) if code[end] == "{" else end
        found.append((first, line_of(code, last), module.group(1) if module else None))
    return found


def skip_attributes(code, position):
    """Position after any further attributes."""
    while True:
        attribute = re.compile(r"\s*#\[").match(code, position)
        if not attribute:
            return position
        position = matching(code, attribute.end() - 1) + 1
