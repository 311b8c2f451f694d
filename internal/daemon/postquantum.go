package daemon

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"strongroom.example/strongroom/internal/keys"
	"strongroom.example/strongroom/internal/tlog"
)

// errLogLine means that a witness policy brings what this program puts there.
var errLogLine = errors.New("a witness policy comes without log line: this vault writes its own")

// logLine is how a policy names the log's key of ML-DSA-44 (FORMATS §5); "" where key is nil, for not every vault has one.
func logLine(origin string, key *keys.Signer) (string, error) {
	if key == nil {
		return "", nil
	}
	named, err := key.PolicyKey(origin)
	return "log " + named + "\n", err
}

// withLog puts a log line before a policy, also before one that asks for nobody.
func withLog(line, policy string) string {
	if line != "" && policy == "" {
		policy = "quorum none\n"
	}
	return line + policy
}

// ownPolicy is an operator's policy with the line of the log's key, if there is one.
func ownPolicy(origin string, key *keys.Signer, policy string) (string, error) {
	parsed, err := tlog.ParsePolicy(policy)
	if err != nil {
		return "", err
	}
	if len(parsed.Logs()) > 0 {
		return "", errLogLine
	}
	line, err := logLine(origin, key)
	return withLog(line, policy), err
}

// checkLogLine refuses a key of ML-DSA-44 that the policy does not name: nobody would verify what it signs.
func checkLogLine(origin string, key *keys.Signer, policy string) error {
	line, err := logLine(origin, key)
	if err != nil {
		return err
	}
	parsed, err := tlog.ParsePolicy(policy)
	if err != nil {
		return err
	}
	if line != "" && !slices.Contains(parsed.Logs(), strings.TrimSuffix(strings.TrimPrefix(line, "log "), "\n")) {
		return fmt.Errorf("%s: %w", postQuantumKey, errOtherKey)
	}
	return nil
}

// planPostQuantum makes the log's next key of ML-DSA-44, keeps the one in use, or leaves it out, as a change asks for. It returns the
// witness policy that goes with it: two people who decide about the policy decide about this key.
func (f folder) planPostQuantum(ctx context.Context, origin string, trust tlog.Trust, opened map[string]*keys.Signer, names *KeyNames, change Change, passphraseFile string) (string, error) {
	policy := trust.WitnessPolicy()
	parsed, err := tlog.ParsePolicy(policy)
	if err != nil {
		return "", err
	}
	for _, named := range parsed.Logs() { // also one whose key is lost
		policy = strings.Replace(policy, "log "+named+"\n", "", 1)
	}
	has := opened[postQuantumKey] != nil
	wanted := has
	if change.PostQuantum != nil {
		wanted = *change.PostQuantum
	}
	switch {
	case wanted && (!has || change.newLogKeys()):
		if opened[postQuantumKey], err = f.newKey(ctx, postQuantumKey, keys.MLDSA44, names, "", passphraseFile); err != nil {
			return "", fmt.Errorf("%s: %w", postQuantumKey, err)
		}
	case !wanted:
		delete(opened, postQuantumKey)
		names.PostQuantum = ""
	}
	if change.Witness != nil {
		return ownPolicy(origin, opened[postQuantumKey], *change.Witness)
	}
	line, err := logLine(origin, opened[postQuantumKey])
	if err != nil {
		return "", err
	}
	return withLog(line, policy), nil
}
