// Package installed finds the programs of others that scripts of this repository install, for tests and for the demonstration, and gives them an
// address and a certificate on loopback. It installs nothing itself.
package installed

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// Missing is the name of a program that is not there. As an error it says how it comes there.
type Missing string

func (m Missing) Error() string {
	return fmt.Sprintf("%s is not installed; install it with: ./scripts/%s", string(m), string(m))
}

// Find returns the program of that name: the one that the environment variable names, or the one that the script of that name installed,
// in the scripts folder of this module. Errors: Missing.
func Find(name, variable string) (string, error) {
	if program := os.Getenv(variable); program != "" {
		return program, nil
	}
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for ; ; dir = filepath.Dir(dir) {
		script := filepath.Join(dir, "scripts", name)
		if _, err := os.Stat(script); err == nil {
			out, err := exec.Command(script, "--installed").Output() //#nosec G204 -- a script of this repository
			if err != nil {
				return "", Missing(name)
			}
			return string(bytes.TrimSpace(out)), nil
		}
		if dir == filepath.Dir(dir) {
			return "", Missing(name)
		}
	}
}
