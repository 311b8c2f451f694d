package program

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"testing"
)

// The build is the digest of the file that runs, here the test's own.
func TestTool(t *testing.T) {
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	digest := sha256.Sum256(file)
	tool := Tool("strongroom")
	if tool.Name != "strongroom" || tool.Version == "" || tool.Build != hex.EncodeToString(digest[:]) {
		t.Errorf("%+v", tool)
	}
}
