"""What a person calls, by name: `starglot check`, `explain`, `accept`, `recover`, `fetch`; a module each."""
