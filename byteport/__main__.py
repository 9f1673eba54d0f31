"""`python -m byteport`: the `byteport` command."""

from byteport.cli import main

if __name__ == "__main__":
    main()
