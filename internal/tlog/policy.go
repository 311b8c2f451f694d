package tlog

import (
	"strings"

	"github.com/transparency-dev/formats/witness"
)

const (
	maxPolicy      = 16 << 10
	maxPolicyLines = 256

	// auditors is the policy's group of those who rebuild the heads map.
	auditors = "auditors"
)

// Policy is who must have cosigned a checkpoint (C2SP tlog-policy; FORMATS §7,
// §10). The zero value asks for nobody.
type Policy struct {
	witnesses, auditors witness.Group
}

// ParsePolicy reads a policy text, in which every name is defined before its
// use and a member of one group at most, and exactly one line is a quorum; the
// empty text asks for nobody.
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
	var components []string
	quorums, hasAuditors := 0, false
	member := make(map[string]bool)
	for _, line := range lines {
		rule, _, _ := strings.Cut(line, "#")
		words := strings.Fields(rule)
		switch {
		case len(words) == 0:
		case words[0] == "quorum":
			quorums++
		default:
			components = append(components, rule)
		}
		if len(words) < 3 || words[0] != "group" {
			continue
		}
		hasAuditors = hasAuditors || words[1] == auditors
		for _, name := range words[3:] {
			// Counted twice, one witness could stand for two; and groups of
			// shared groups take exponential time to evaluate.
			if member[name] {
				return Policy{}, malformed("witness policy has a member of two groups")
			}
			member[name] = true
		}
	}
	if quorums != 1 {
		return Policy{}, malformed("witness policy has not exactly one quorum")
	}
	var p Policy
	var err error
	if p.witnesses, err = witness.ParsePolicy([]byte(text)); err != nil {
		return Policy{}, malformed("witness policy does not parse")
	}
	if hasAuditors {
		components = append(components, "quorum "+auditors)
		if p.auditors, err = witness.ParsePolicy([]byte(strings.Join(components, "\n"))); err != nil {
			return Policy{}, malformed("witness policy does not parse")
		}
	}
	return p, nil
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
