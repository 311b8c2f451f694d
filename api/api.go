// Package api holds what the product says of its formats and its law, as far as programs carry it along.
package api

import _ "embed"

// Verifier is verify.py, a second verifier of packages (FORMATS §12): one file for Python 3.9 or newer, with openssl.
//
//go:embed verify.py
var Verifier []byte
