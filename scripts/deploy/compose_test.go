package deploy

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"maps"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
)

// composed is a copy of the set with its secrets, and what the compose library makes of it. In the copy of prepare the first of each pair is
// replaced by the second.
func composed(t *testing.T, changes ...string) (dir string, project *types.Project) {
	t.Helper()
	program(t, "STRONGROOM_TRILLIAN", "storage.sql")
	dir = filepath.Join(copied(t), "compose")
	text, err := os.ReadFile(filepath.Join(dir, "prepare"))
	check(t, err)
	check(t, os.WriteFile(filepath.Join(dir, "prepare"), []byte(strings.NewReplacer(changes...).Replace(string(text))), 0o700))
	_, err = exec.CommandContext(t.Context(), filepath.Join(dir, "prepare"), "vault.clinic.example").Output()
	check(t, err)
	options, err := cli.NewProjectOptions([]string{filepath.Join(dir, "compose.yaml")}, cli.WithWorkingDirectory(dir), cli.WithProfiles([]string{"*"}))
	check(t, err)
	project, err = cli.ProjectFromOptions(context.WithoutCancel(t.Context()), options) // strict: what it does not know it refuses
	check(t, err)
	return dir, project
}

// Every service is shut in, bounded and watched.
func TestComposeHardened(t *testing.T) {
	_, project := composed(t)
	unwatched := map[string]string{
		"migrate": "it ends", "backup": "as migrate",
		"trillian-server": "nothing in its image could ask; /readyz of the replicas names the log", "trillian-signer": "as trillian-server",
	}
	for name, s := range project.Services {
		uid, _, _ := strings.Cut(s.User, ":")
		switch {
		case !s.ReadOnly:
			t.Errorf("%s may write to its root", name)
		case !slices.Equal(s.CapDrop, []string{"ALL"}) || len(s.CapAdd) > 0 || s.Privileged:
			t.Errorf("%s has capabilities", name)
		case !slices.Equal(s.SecurityOpt, []string{"no-new-privileges:true"}):
			t.Errorf("%s may get privileges: %q", name, s.SecurityOpt)
		case uid == "" || uid == "0" || strings.Trim(uid, "0123456789") != "":
			t.Errorf("%s runs as %q", name, s.User)
		case s.Deploy == nil || s.Deploy.Resources.Limits == nil || s.Deploy.Resources.Limits.MemoryBytes == 0 || s.Deploy.Resources.Limits.Pids == 0:
			t.Errorf("%s is not bounded", name)
		case (s.HealthCheck == nil) != (unwatched[name] != ""):
			t.Errorf("%s: whether it is well is asked or not, against what is expected", name)
		case len(s.Ports) > 0 && name != "proxy":
			t.Errorf("%s can be reached from outside", name)
		case strings.Contains(s.Image, "/") && (!strings.Contains(s.Image, ":") || strings.HasSuffix(s.Image, ":latest")):
			t.Errorf("%s: whose version is %q?", name, s.Image)
		}
		for key, value := range s.Environment {
			if value != nil && strings.Contains(strings.ToLower(key), "password") && !strings.HasSuffix(key, "_FILE") {
				t.Errorf("%s has a password in its environment: %s", name, key)
			}
		}
	}
}

// Who shares a network with whom: Trillian asks nobody who they are.
func TestComposeNetworks(t *testing.T) {
	_, project := composed(t)
	for name, want := range map[string][]string{
		"trillian-server": {"postgresql", "replica-1", "replica-2", "trillian-signer"},
		"trillian-signer": {"postgresql", "trillian-server"},
		"postgresql":      {"backup", "migrate", "replica-1", "replica-2", "trillian-server", "trillian-signer"},
		"s3":              {"replica-1", "replica-2"},
		"proxy":           {"replica-1", "replica-2"},
	} {
		var near []string
		for other, s := range project.Services {
			for network := range s.Networks {
				if _, shared := project.Services[name].Networks[network]; shared && other != name && !slices.Contains(near, other) {
					near = append(near, other)
				}
			}
		}
		if slices.Sort(near); !slices.Equal(near, want) {
			t.Errorf("%s reaches %q", name, near)
		}
	}
	for name, s := range project.Services {
		for network := range s.Networks {
			if open := !bool(project.Networks[network].Internal); open && !(network == "public" && name == "proxy" || network == "outside" && strings.HasPrefix(name, "replica-")) {
				t.Errorf("%s reaches the world on %s", name, network)
			}
		}
	}
	proxy := project.Services["proxy"].Networks["front"].Ipv4Address
	text, err := os.ReadFile(filepath.Join(folder, "compose", "strongroomd.yaml"))
	check(t, err)
	if proxy == "" || !strings.Contains(string(text), "trusted_proxies: ["+proxy+"/32]") {
		t.Errorf("the replicas trust another proxy than %s", proxy)
	}
	given, err := netip.ParsePrefix(project.Networks["front"].Ipam.Config[0].IPRange)
	check(t, err)
	if address, err := netip.ParseAddr(proxy); err != nil || given.Contains(address) {
		t.Errorf("%s may be given to somebody else than the proxy (%v)", proxy, err)
	}
}

// What a replica sets down while it is uploaded does not count against its memory, and nobody else has it.
func TestComposeTemporary(t *testing.T) {
	_, project := composed(t)
	used := map[string]string{}
	for name, s := range project.Services {
		for _, v := range s.Volumes {
			if v.Target != "/tmp" || v.Type != types.VolumeTypeBind {
				continue
			}
			if other := used[v.Source]; other != "" {
				t.Errorf("%s and %s have one /tmp", name, other)
			}
			used[v.Source] = name
		}
		if strings.HasPrefix(name, "replica-") && (len(s.Tmpfs) > 0 || !slices.Contains(slices.Collect(maps.Values(used)), name)) {
			t.Errorf("%s sets down what is uploaded in its memory: %q", name, s.Tmpfs)
		}
	}
}

// What files are named are there, and each secret is somebody's.
func TestComposeFiles(t *testing.T) {
	dir, project := composed(t)
	used := map[string]bool{"ca.key": true, "s3.env": true} // kept elsewhere; an environment
	for name, s := range project.Services {
		for _, secret := range s.Secrets {
			used[secret.Source] = true
			if _, known := project.Secrets[secret.Source]; !known {
				t.Errorf("%s needs the secret %s", name, secret.Source)
			}
		}
		for _, c := range s.Configs {
			if _, known := project.Configs[c.Source]; !known {
				t.Errorf("%s needs the file %s", name, c.Source)
			}
		}
		for _, v := range s.Volumes {
			if v.Type == types.VolumeTypeBind && !strings.HasPrefix(v.Source, dir) {
				t.Errorf("%s reaches %s on the machine", name, v.Source)
			}
		}
	}
	for name, secret := range project.Secrets {
		if _, err := os.Stat(secret.File); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, c := range project.Configs {
		if _, err := os.Stat(c.File); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	made, err := os.ReadDir(filepath.Join(dir, "secrets"))
	check(t, err)
	for _, file := range made {
		info, err := file.Info()
		check(t, err)
		if !used[file.Name()] {
			t.Errorf("nobody uses secrets/%s", file.Name())
		}
		if file.Name() != "ca.pem" && info.Mode().Perm() != 0o600 {
			t.Errorf("secrets/%s: %v", file.Name(), info.Mode())
		}
	}
}

// Every command line is one that the real program knows, and the configuration one that strongroomd takes.
func TestComposeCommands(t *testing.T) {
	dir, project := composed(t)
	secrets := filepath.Join(dir, "secrets")
	flags, err := os.ReadFile(filepath.Join(secrets, "trillian.flags"))
	check(t, err)
	var more []string
	for line := range strings.Lines(string(flags)) {
		more = append(more, strings.Trim(strings.TrimSpace(line), "'"))
	}
	for name, s := range project.Services {
		args := slices.Clone([]string(s.Command))
		switch {
		case strings.HasPrefix(s.Image, "strongroomd:"):
			accepted(t, "strongroomd", args...)
			if h := s.HealthCheck; h != nil {
				accepted(t, "strongroomd", h.Test[2:]...)
			}
		case strings.HasPrefix(s.Image, "strongroom-trillian:"):
			accepted(t, strings.TrimPrefix(args[0], "/"), append(args[1:], more...)...)
		case name == "s3":
			accepted(t, "versitygw", args[:len(args)-1]...) // the last is a folder, which it would look for
		}
	}
	checked(t, filepath.Join(dir, "strongroomd.yaml"), "/run/secrets/", secrets+"/")
}

// The certificates are vouched for by the authority, for the names that are asked for, and for nothing else.
func TestComposeCertificates(t *testing.T) {
	dir, _ := composed(t)
	text, err := os.ReadFile(filepath.Join(dir, "secrets", "ca.pem"))
	check(t, err)
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		t.Fatal("no authority")
	}
	for file, names := range map[string][]string{
		"postgresql": {"postgresql"}, "trillian": {"trillian-server"}, "s3": {"s3"}, "replica": {"replica-1", "replica-2"}, "public": {"vault.clinic.example"},
	} {
		at := filepath.Join(dir, "secrets", file)
		key := at + ".key"
		if file == "public" {
			key = at + ".pem"
		}
		pair, err := tls.LoadX509KeyPair(at+".pem", key)
		check(t, err)
		for _, name := range names {
			if _, err := pair.Leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: name}); err != nil {
				t.Errorf("%s for %s: %v", file, name, err)
			}
		}
		if pair.Leaf.IsCA || len(pair.Leaf.DNSNames) != len(names) {
			t.Errorf("%s is good for %q", file, pair.Leaf.DNSNames)
		}
	}
	if block, rest := pem.Decode(text); block == nil || len(rest) > 0 {
		t.Error("ca.pem holds more than the authority's certificate")
	}
}
