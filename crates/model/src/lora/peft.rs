//! PEFT's adapter files.
