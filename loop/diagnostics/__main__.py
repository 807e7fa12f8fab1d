"""`python -m loop.diagnostics > docs/diagnostics.md`"""

from loop.diagnostics.page import markdown

if __name__ == "__main__":
    print(markdown(), end="")
