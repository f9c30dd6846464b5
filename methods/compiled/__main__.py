"""`python -m methods.compiled`: compile now rather than at first use, and say which path will be taken."""

from methods.compiled import library

if __name__ == "__main__":
    print(library.describe())
