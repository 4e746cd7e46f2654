//! The intercepting proxy: a byte relay between a phone and the internet that ends TLS on both sides, and taps what
//! passes as frames and session keys. It rewrites nothing and parses no protocol; reading is left to the pipeline.
