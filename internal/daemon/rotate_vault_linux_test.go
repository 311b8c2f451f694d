package daemon

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	ev "strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/vault"
)

// Where vault.json is mounted, as in Kubernetes, the vault goes on after its own key was changed: it signs with the new one, and says what
// to do. Its backups name the keys that they hold. Once the file can be changed, it is.
func TestVaultKeyBesideMountedSettings(t *testing.T) {
	dir, to := made(t), filepath.Join(t.TempDir(), "backup")
	_, c := once()
	ctx, said := t.Context(), new(bytes.Buffer)
	o := testOptions()
	o.Logger = slog.New(slog.NewTextHandler(said, nil))

	p := must(open(ctx, dir, o))
	actor := p.settings.Actor
	code, made, err := p.vault.Invite(ctx, c.A.caller(), vault.Offer{Rotation: actor})
	if err != nil {
		t.Fatal(err)
	}
	must(0, p.close())
	number := must(RotateVaultKey(ctx, dir, o, code, ""))
	p = must(open(ctx, dir, o))
	var keys ev.Keys
	for _, i := range must(p.vault.Invitations(ctx, c.A.caller(), 10)) {
		if i.Digest == made.Digest {
			keys = *i.Keys
		}
	}
	keys.Invitation = made.Digest
	stream := ev.ActorOf(actor)
	must(c.A.submit(p, c.A.sign(p, stream, ev.ActorKeyRotated, &ev.ActorKeyRotatedDetails{Keys: keys, Cause: ev.CauseReplacement}), ""))
	must(c.B.submit(p, c.B.sign(p, stream, ev.ActorConfirmed, &ev.ActorConfirmedDetails{Fingerprint: number, Method: ev.ByPhone}), ""))
	must(0, p.close())

	file := folder(dir).settings()
	if err := syscall.Mount(file, file, "", syscall.MS_BIND, ""); errors.Is(err, os.ErrPermission) {
		t.Skip("to mount a file needs root: run it as root")
	} else if err != nil {
		t.Fatal(err)
	}
	mounted := true
	unmount := func() {
		if mounted {
			mounted = false
			must(0, syscall.Unmount(file, 0))
		}
	}
	defer unmount()
	before := must(os.ReadFile(file))
	for range 2 { // each start is the same
		said.Reset()
		if p, err = open(ctx, dir, o); err != nil {
			t.Fatal(err)
		}
		if ev.Fingerprint(p.author.SPKI, "") != number || !strings.Contains(said.String(), "vault.json cannot be changed") {
			t.Errorf("it signs with another key, or does not say it: %s", said)
		}
		must(0, p.close())
	}
	grow(t, dir)
	if !bytes.Equal(must(os.ReadFile(file)), before) {
		t.Fatal("the file was changed: this shows nothing")
	}
	p = must(open(ctx, dir, o))
	backedUp(t, p, to)
	must(0, p.close())
	anew, _ := restored(t, Restoration{From: to, Data: filepath.Join(t.TempDir(), "anew"), None: true})
	if anew.settings.Keys.Next != "" || ev.Fingerprint(anew.author.SPKI, "") != number {
		t.Errorf("the backup names other keys: %+v", anew.settings.Keys)
	}
	must(0, anew.close())

	unmount()
	said.Reset()
	must(0, must(open(ctx, dir, o)).close())
	if s := must(folder(dir).readSettings()); s.Keys.Next != "" || s.Keys.Vault == "" || strings.Contains(said.String(), "vault.json") {
		t.Errorf("once it can be changed: %+v, %s", s.Keys, said)
	}
	clean(t, dir, o)
}
