package client_test

import (
	"testing"

	"strongroom.example/strongroom/internal/client"
	"strongroom.example/strongroom/internal/client/keystoretest"
)

// The browser's is tested in a browser (scripts/browser/client.test.mjs).
func TestKeystores(t *testing.T) {
	folder, err := client.OpenFolder(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for name, k := range map[string]client.Keystore{"folder": folder, "memory": new(client.InMemory)} {
		t.Run(name, func(t *testing.T) { keystoretest.Run(t, k) })
	}
}
