"""From files of rows to tokens: read, check, tokenise once, report; knows no model."""
