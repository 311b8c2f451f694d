package tlog

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/url"
	"slices"
	"strings"

	formats "github.com/transparency-dev/formats/note"
	"github.com/transparency-dev/formats/witness"
	"golang.org/x/mod/sumdb/note"
)

const (
	maxPolicy      = 16 << 10
	maxPolicyLines = 256

	// auditors is the policy's group of those who rebuild the heads map.
	auditors = "auditors"

	// mldsa44 is the signature type of ML-DSA-44 (C2SP signed-note).
	mldsa44 = 0x06
)

// Witness is one whose cosignatures a policy counts.
type Witness struct {
	// Name is what the policy calls it; its signature lines are named as its key.
	Name string
	// URL is where it takes checkpoints, <prefix>/add-checkpoint (C2SP
	// tlog-witness).
	URL string
	// Verifier is of its key: Ed25519 (type 0x04) or ML-DSA-44 (0x06).
	Verifier note.Verifier
	// Auditor says that it belongs to the group "auditors", whose members come
	// by themselves and are not asked.
	Auditor bool
}

// Policy is who must have cosigned a checkpoint (C2SP tlog-policy; FORMATS §7,
// §10). The zero value asks for nobody.
type Policy struct {
	all                 []Witness
	witnesses, auditors witness.Group
	// logs are the keys of its log lines.
	logs []note.Verifier
	// keys are all its keys as they are written, by signer.
	keys map[string]string
}

// ParsePolicy reads a policy text, in which every name is defined before its
// use and a member of one group at most, and exactly one line is a quorum; the
// empty text asks for nobody. No two witnesses share a name, a key or a URL:
// one party would be counted twice. Log lines hold ML-DSA-44 keys only, the
// others stand in the trusted root.
func ParsePolicy(text string) (Policy, error) {
	if text == "" {
		return Policy{}, nil
	}
	if len(text) > maxPolicy || !plain(text) {
		return Policy{}, malformed("witness policy is not plain text")
	}
	lines := strings.Split(text, "\n")
	if len(lines) > maxPolicyLines {
		return Policy{}, malformed("witness policy has too many lines")
	}
	p := Policy{keys: make(map[string]string)}
	var components []string
	quorums := 0
	groups, seen := make(map[string][]string), make(map[string]bool)
	for _, line := range lines {
		rule, _, _ := strings.Cut(line, "#")
		words := strings.Fields(rule)
		if len(words) == 0 {
			continue
		}
		switch words[0] {
		case "quorum":
			quorums++
			continue
		case "log":
			if err := p.addLog(words[1:], seen); err != nil {
				return Policy{}, err
			}
		case "witness":
			if err := p.addWitness(words[1:], seen); err != nil {
				return Policy{}, err
			}
		case "group":
			// A group of which none need sign would ask for nobody, in the words of asking (C2SP tlog-policy: 1 ≤ k ≤ n).
			if len(words) < 3 || strings.Trim(words[2], "0") == "" {
				return Policy{}, malformed("group of a witness policy")
			}
			groups[words[1]] = words[3:]
			for _, name := range words[3:] {
				// Counted twice, one witness could stand for two; and groups of
				// shared groups take exponential time to evaluate.
				if !first(seen, "member "+name) {
					return Policy{}, malformed("witness policy has a member of two groups")
				}
			}
		}
		components = append(components, rule)
	}
	if quorums != 1 {
		return Policy{}, malformed("witness policy has not exactly one quorum")
	}
	var err error
	if p.witnesses, err = witness.ParsePolicy([]byte(text)); err != nil {
		return Policy{}, malformed("witness policy does not parse")
	}
	if _, there := groups[auditors]; !there {
		return p, nil
	}
	components = append(components, "quorum "+auditors)
	if p.auditors, err = witness.ParsePolicy([]byte(strings.Join(components, "\n"))); err != nil {
		return Policy{}, malformed("witness policy does not parse")
	}
	within := map[string]bool{auditors: true}
	for next := []string{auditors}; len(next) > 0; next = next[1:] {
		for _, name := range groups[next[0]] {
			within[name] = true
			next = append(next, name)
		}
	}
	for i := range p.all {
		p.all[i].Auditor = within[p.all[i].Name]
	}
	return p, nil
}

// addWitness reads the words after "witness": name, key, URL.
func (p *Policy) addWitness(words []string, seen map[string]bool) error {
	if len(words) != 3 {
		return malformed("witness of a witness policy")
	}
	_, key, err := cosignerKey(words[1], seen)
	if err != nil {
		return err
	}
	at, err := url.Parse(words[2])
	if err != nil || at.Scheme != "https" && at.Scheme != "http" || at.Host == "" || at.User != nil || at.RawQuery != "" {
		return malformed("URL of a witness")
	}
	w, err := witness.New(words[1], at)
	if err != nil {
		return malformed("witness of a witness policy")
	}
	if !first(seen, "URL "+strings.ToLower(w.URL)) {
		return malformed("two witnesses with one URL")
	}
	p.keys[signerOf(key)] = words[1]
	p.all = append(p.all, Witness{Name: words[0], URL: w.URL, Verifier: key})
	return nil
}

// addLog reads the words after "log": key and, if it has one, URL.
func (p *Policy) addLog(words []string, seen map[string]bool) error {
	if len(words) != 1 && len(words) != 2 {
		return malformed("log of a witness policy")
	}
	algorithm, key, err := cosignerKey(words[0], seen)
	if err != nil {
		return err
	}
	if algorithm != mldsa44 {
		return malformed("log key of a witness policy is not ML-DSA-44")
	}
	p.keys[signerOf(key)] = words[0]
	p.logs = append(p.logs, key)
	return nil
}

// cosignerKey reads a key as C2SP signed-note writes it, in its one spelling.
// No two keys of a policy have one name or are one key.
func cosignerKey(vkey string, seen map[string]bool) (algorithm byte, v note.Verifier, err error) {
	if v, err = formats.NewVerifierForCosignatureV1(vkey); err != nil {
		return 0, nil, malformed("key of a witness policy")
	}
	parts := strings.SplitN(vkey, "+", 3)
	key, err := base64.StdEncoding.DecodeString(parts[2])
	if err != nil || vkey != fmt.Sprintf("%s+%08x+%s", v.Name(), v.KeyHash(), base64.StdEncoding.EncodeToString(key)) {
		return 0, nil, malformed("key of a witness policy")
	}
	if !first(seen, "key name "+v.Name()) || !first(seen, "key "+string(key)) {
		return 0, nil, malformed("witness policy has a key or its name twice")
	}
	return key[0], v, nil
}

// first reports whether what was not seen yet, and from now on it is.
func first(seen map[string]bool, what string) bool {
	before := seen[what]
	seen[what] = true
	return !before
}

// Witnesses returns all that the policy names, in its order.
func (p Policy) Witnesses() []Witness { return slices.Clone(p.all) }

// Logs returns the keys of its log lines as they are written.
func (p Policy) Logs() (keys []string) {
	for _, v := range p.logs {
		keys = append(keys, p.keys[signerOf(v)])
	}
	return keys
}

// PolicyLines returns a policy's lines as people compare them. The key of a log
// line is too long for that: its number stands there, SHA-256 of the key as it
// is written, as SixGroups shows it.
func PolicyLines(text string) (lines []string) {
	for line := range strings.SplitSeq(strings.TrimSpace(text), "\n") {
		if words := strings.Fields(line); len(words) > 1 && words[0] == "log" {
			words[1] = SixGroups(sha256.Sum256([]byte(words[1])))
			line = strings.Join(words, " ")
		}
		if line != "" {
			lines = append(lines, line)
		}
	}
	return lines
}

// RequiresWitnesses reports whether a checkpoint that nobody cosigned falls
// short of the quorum.
func (p Policy) RequiresWitnesses() bool { return !p.witnesses.Satisfied(nil) }

// RequiresAuditors reports whether there is a group "auditors" that a
// checkpoint nobody cosigned falls short of.
func (p Policy) RequiresAuditors() bool { return !p.auditors.Satisfied(nil) }

// plain accepts ASCII in lines. A policy names hosts and keys; nothing in it
// may look like something else.
func plain(text string) bool {
	for _, c := range []byte(text) {
		if (c < ' ' || c > '~') && c != '\n' && c != '\t' {
			return false
		}
	}
	return true
}
