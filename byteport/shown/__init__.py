"""What people are shown, on the terminal and in the console: views on the ledger's rows. Pure, but for `fetch`."""
