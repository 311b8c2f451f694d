package dossier

import (
	"bytes"
	"encoding/json"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"strongroom.example/strongroom/internal/tlog"
)

// formsOfVectors says of each vector of the formats whether it is accepted. Proofs between one and the same size are not in packages.
const formsOfVectors = `
import base64, json, sys, tempfile
sys.dont_write_bytecode = True
sys.path.insert(0, sys.argv[1])
import verify as v

def checkpoint(i, openssl):
    class Trust:
        vault, policy, log_keys, note_keys = i["origin"], v.Policy("", i["origin"]), {}, {}
    for key in map(base64.b64decode, i["keys"]):
        ecdsa = key.startswith(v.P256_PREFIX)
        note_id = v.sha256(key) if ecdsa else v.sha256(i["origin"].encode() + b"\n\1" + key[-32:])
        Trust.note_keys[note_id[:4]] = key
        if ecdsa:
            Trust.log_keys[v.sha256(key)] = key
    v.Notary(Trust, openssl).check(v.Checkpoint.parse(i["note"]), None)

def proof(i, openssl):
    hashes = [bytes.fromhex(h) for h in i["proof"]]
    if i["kind"] == "inclusion":
        good = all(len(h) == 32 for h in hashes) and v.subtree_hashes(bytes.fromhex(i["leaf_hash"]), i["index"], i["size"], hashes)[0].hex() == i["root"]
    else:
        good = v.grows(i["old_size"], bytes.fromhex(i["old_root"]), i["size"], bytes.fromhex(i["root"]), hashes)
    if not good:
        raise v.Malformed

def stamp(i, openssl):
    t = v.Trust(i["trust"].encode())
    clock = v.Clock(t.stamp_roots, t.spans, openssl)
    s, = clock.hold([(base64.b64decode(i["response"]), v.sha256(base64.b64decode(i["message"])))])
    if s is None:
        raise v.Malformed
    if "time" not in i:
        return
    whole, _, fraction = i["time"].rstrip("Z").partition(".")
    at = v.milliseconds(v.moment(whole + ".000Z")) * 10**6 + int(fraction.ljust(9, "0") or "0")
    assert (s.at, s.accuracy, clock.development(s)) == (at, 1000 * i["accuracy_microseconds"], i["development"]), i["time"]

def trust(i, openssl):
    t = v.Trust(i["trust"].encode())
    if "groups" in i:
        assert (t.shown(), t.number.hex(), t.policy.quorum != "none", v.AUDITORS in t.policy.groups, bool(t.stamp_roots)) == (
            i["groups"], i["fingerprint"], i["requires_witnesses"], i["requires_auditors"], i["requires_timestamps"])

with tempfile.TemporaryDirectory() as folder:
    openssl = v.OpenSSL(folder)
    for name, read in (("tlog/checkpoints", checkpoint), ("tlog/proofs", proof), ("tlog/trust", trust), ("timestamps/timestamps", stamp)):
        with open(f"{sys.argv[1]}/vectors/{name}.json") as f:
            cases = json.load(f)
        for c in cases:
            if c["input"].get("kind") == "consistency" and c["input"]["old_size"] in (0, c["input"]["size"]):
                continue
            try:
                read(c["input"], openssl)
                accepted = True
            except (ValueError, KeyError, TypeError, AttributeError, v.Stop):
                accepted = False
            if accepted != (c["expect"] == "accept"):
                print(name, c["name"], accepted)
        print(name, len(cases) > 20)
`

// Checkpoints, proofs, trust files and time stamps, each in its one form, by the vectors that another implementation made.
func TestIndependentOfForms(t *testing.T) {
	needsPython(t)
	out, err := exec.Command("python3", "-c", formsOfVectors, filepath.Dir(independentProgram)).CombinedOutput()
	if want := "tlog/checkpoints True\ntlog/proofs True\ntlog/trust True\ntimestamps/timestamps True\n"; err != nil || string(out) != want {
		t.Errorf("%v: %s", err, out)
	}
}

// Witness policies, each judged by both: one party is counted once, and every key has one spelling.
func TestIndependentOfPolicies(t *testing.T) {
	needsPython(t)
	a, _ := witnessed(t)
	w := a.world
	one, two, own := a.one.rule(), a.two.rule(), newCosigner(origin)
	key := strings.SplitN(a.one.vkey, "+", 3)
	ml, _ := mldsa(w, "m")
	parts := tlog.TrustParts{Vault: origin, Logs: w.trust.Logs(), Founders: w.trust.Founders()}
	plain := must(tlog.NewTrust(parts)).Marshal()
	var in bytes.Buffer
	var want []bool
	policies := []string{
		"", "quorum none\n", "quorum none", "# nobody\n\nquorum none\n", one + "quorum one\n", one + "quorum\tone \n", one + two + "group x any one two\nquorum x\n", one + "witness m " + ml + " http://m.example:8080/w\nquorum m\n",
		one, "quorum one\n", one + "quorum none\nquorum none\n", one + "quorum two\n", one + "more\nquorum none\n", one + one + "quorum one\n", one + "witness two " + a.one.vkey + " https://x.example\nquorum none\n",
		one + "witness two " + a.two.vkey + " https://one.example/\nquorum none\n", one + "witness two " + a.two.vkey + " https://ONE.example\nquorum none\n", "witness one " + a.one.vkey + "\nquorum one\n",
		"witness one " + a.one.vkey + " ftp://one.example\nquorum one\n", "witness one " + a.one.vkey + " https://u:p@one.example\nquorum one\n", "witness one " + a.one.vkey + " https://one.example/?a\nquorum one\n",
		"witness none " + a.one.vkey + " https://one.example\nquorum none\n", own.rule() + "quorum none\n", "log " + own.vkey + "\nquorum none\n", "log " + ml + "\nquorum none\n",
		"witness one one+" + strings.ToUpper(key[1]) + "x+" + key[2] + " https://one.example\nquorum none\n", "witness one one+00000000+" + key[2] + " https://one.example\nquorum none\n",
		one + two + "group x 1 one\ngroup y 1 one two\nquorum y\n", one + two + "group x 3 one two\nquorum x\n", one + "group x 1 one one\nquorum x\n", one + "group x 1\nquorum x\n", one + "group x 0 one\nquorum x\n", one + "group x 00 one\nquorum x\n", one + "group x some one\nquorum x\n",
		one + "group one 1 one\nquorum one\n", one + "group x 1 y\ngroup y 1 one\nquorum x\n", one + "quorum one\r\n", one + "quorum one\n#é\n", "quorum none\n" + strings.Repeat("#\n", 300), "quorum none\n#" + strings.Repeat("x", 17<<10) + "\n",
	}
	for _, policy := range policies {
		parts.WitnessPolicy = policy
		_, err := tlog.NewTrust(parts)
		want = append(want, err == nil)
		text := must(json.Marshal(policy))
		must(0, json.NewEncoder(&in).Encode(string(bytes.Replace(plain, []byte(`"witness_policy":""`), append([]byte(`"witness_policy":`), text...), 1))))
	}
	c := exec.Command("python3", "-c", `
import json, sys
sys.dont_write_bytecode = True
sys.path.insert(0, sys.argv[1])
import verify
for line in sys.stdin:
    try:
        print(bool(verify.Trust(json.loads(line).encode())))
    except verify.Malformed:
        print(False)
`, filepath.Dir(independentProgram))
	c.Stdin = &in
	answers := strings.Fields(string(must(c.Output())))
	if len(answers) != len(policies) {
		t.Fatalf("%d answers", len(answers))
	}
	for i, answer := range answers {
		if (answer == "True") != want[i] {
			t.Errorf("%q: %s, and ours says %v", policies[i], answer, want[i])
		}
	}
}
