//! Bicubic resizing.
