// Package program says which program is running, as signed events name it (FORMATS §2, tool).
package program

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"
	"runtime/debug"

	"strongroom.example/strongroom/internal/evidence"
)

// Tool is the running program under the name that is given, with its version and its build.
func Tool(name string) evidence.Tool {
	return evidence.Tool{Name: name, Version: Version(), Build: build()}
}

// Version is the module's version, "devel" when built from a work tree.
func Version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return "devel"
}

// build is the SHA-256 of the program's file, or "" if it cannot be read.
func build() string {
	path, err := os.Executable()
	if err != nil {
		return ""
	}
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return ""
	}
	return hex.EncodeToString(h.Sum(nil))
}
