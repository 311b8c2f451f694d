package architecture

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// pitfalls says for each sentence of RULES §12 which tests prove it, as package.Test, and what of it belongs to later work and why.
var pitfalls = []struct {
	sentence string
	tests    string
	later    string
}{
	1:  {"Nothing is transcoded; messenger origin recorded.", "internal/client.TestOriginals internal/forms.TestAcquisitionRules", ""},
	2:  {"Digest precedes all processing; certificate says original or derivative.", "internal/client.TestOriginals internal/client.TestDerive", certificates},
	3:  {"F7: an unequal digest alarms both ends.", "internal/client.TestUnequalAlarms internal/evidence.TestGrantAcknowledged", ""},
	4:  {"Every clock difference is explained on the certificate.", "internal/client.TestDrift internal/dossier.TestTimesRunBackwards", certificates},
	5:  {"No metadata altered; source and confidence present.", "internal/client.TestOriginals internal/forms.TestAcquisitionRules", ""},
	6:  {"Old material seals with an assurance level.", "internal/forms.TestAcquisitionRules internal/client.TestSealingAndAddenda", ""},
	7:  {"Screenshot alone: client asks for URL and WACZ.", "internal/forms.TestAcquisitionRules", ""},
	8:  {"Package contains versions, incidents, administrator events.", "internal/client.TestTwoSides", ""},
	9:  {"F6: identical verifier output.", "internal/client.TestTwoSides", ""},
	10: {"D3, with canaries in every field.", "cmd/strongroom.TestCanary", ""},
	11: {"Blanket consent is impossible; unticked items never leave.", "internal/evidence.TestConsentGates internal/evidence.TestGrantProposed internal/client.TestNarrow", ""},
	12: {"Name scan of text, properties, every version of the description, and the notes and reason that go along precedes release. What is added to an item afterwards (a description, a note to who opens it) is looked through and agreed to before it is signed, while a share is in force or the subject has a copy. That no names were given to look for, and what could not be read (a PDF with letters of its own, an archive, pictures, recordings), is said.", "internal/scan.TestNames internal/scan.TestFiles internal/client.TestCheckBeforeLeaving internal/client.TestCheckOfAllThatGoes internal/client.TestAdditionsToWhatIsShared internal/client.TestNoNamesIsTold internal/scan.TestPDF", ""},
	13: {"One subject, two courts: no common pseudonym beyond case, consent and item ids.", "internal/client.TestPseudonyms", ""},
	14: {"Redacted PDF: extraction finds nothing; pages can be rasterised.", "", "nothing here redacts yet: the server cannot (§11.9), and a tool for it comes with the web page"},
	15: {"Package bytes: no deny-listed address, GPS, serial, e-mail.", "internal/client.TestTwoSides internal/scan.TestPictures internal/scan.TestPatterns", ""},
	16: {"Unlisted export field fails the build; no bare private key leaves.", "internal/custody.TestSchemaAgreesWithTypes internal/dossier.TestCustody internal/sealing.TestKeysDoNotPrint",
		"the serializers of the formats of §10 beyond the custody report"},
	17: {"The API refuses what a hidden button hides.", "internal/auth.TestTable internal/httpapi.TestRoutesAndRoles internal/evidence.TestWhoMayNot", ""},
	18: {"No response, feed or error shows foreign cases.", "internal/vault.TestWhoReads internal/httpapi.TestOneAnswerOutside internal/httpapi.TestNothingIsEchoed", ""},
	19: {"All ranks see the same events; only names may be redacted.", "internal/client.TestAllSeeTheSame", ""},
	20: {"One kind per act; nobody shreds alone.", "internal/evidence.TestEveryKindIsDecided internal/evidence.TestItemShredded internal/client.TestKeepAndShred", ""},
	21: {"K2.", "internal/evidence.TestGrantRefused internal/client.TestNotes cmd/strongroom.TestJourney", ""},
	22: {"Late reader: access expired, evidence retained.", "internal/evidence.TestExpiryKeepsTheItem", ""},
	23: {"Changed period: dry run, wait, second person first.", "internal/evidence.TestRetentionSet internal/evidence.TestVaultConfirmed internal/client.TestDryRunIsTheLaws", ""},
	24: {"No single actor recovers a key.", "internal/evidence.TestVaultRecovered internal/client.TestRecovered cmd/strongroom.TestRecoveredCommand", ""},
	25: {"Screen and certificate say where tracking ends.", "cmd/strongroom.TestRules cmd/strongroom.TestHelp", certificates},
	26: {"Support bundle holds no content.", "internal/httpapi.TestLog", "there is no support bundle"},
	27: {"Public leaf holds no name, e-mail, id.", "internal/custody.TestLeaf", ""},
	28: {"Offline verification makes no network request.", "internal/architecture.TestNeverReaches", ""},
	29: {"Foreign root, unsigned checkpoint, wrong log: refused.",
		"internal/tlog.TestReceiptVectors internal/tlog.TestCheckpointVectors cmd/strongroom-verify.TestChangedTrustAndIdentity internal/client.TestLies", ""},
	30: {"Parallel batches yield consistent checkpoints.", "internal/ledger.TestManyStreams internal/ledger.TestCompleteWhileGrowing internal/translog/embedded.TestConformance", ""},
	31: {"Notes, descriptions have bucketed sizes; uploads can be scheduled.", "internal/sealing.TestShortTextsLookAlike internal/sealing.TestText",
		"scheduling: the command line is scheduled by its computer (deposit --resume), the web page is not there yet"},
	32: {"Same file twice: different ciphertext; only the client flags duplicates, inside a case.", "internal/client.TestSameFileTwice internal/sealing.TestEncryptsOnce", ""},
	33: {"F5.", "internal/client.TestTwoSides internal/evidence.TestGrantRedeemed internal/vault.TestReleaseEnds", ""},
	34: {"§5: strong opinion without reasons cannot seal.", "internal/forms.TestOpinions internal/client.TestSealingAndAddenda", ""},
	35: {"§5: `documents_only` submits no opinion.", "internal/forms.TestOpinions internal/client.TestDocumentsOnly internal/evidence.TestItemAmended", ""},
	36: {"Recording testimony shows a warning first.", "", "nothing here records: that comes with the web page"},
	37: {"Printing works offline, is logged, carries page codes.",
		"internal/forms.TestPage internal/forms.TestFoot internal/dossier.TestCustody internal/dossier.TestCustodyPages internal/client.TestPrintsAndCopies internal/client.TestNoLogNoCopy cmd/strongroom.TestNoPrintWithoutEntry cmd/strongroom.TestRecord",
		"web pages print nothing of an item by themselves yet; on paper, in a real browser without a network: scripts/browser/print.test.mjs"},
	38: {"F4 with a truncated history.", "internal/dossier.TestOtherLast internal/dossier.TestEveryEvent", ""},
	39: {"Seal without consent or basis refused.", "internal/evidence.TestItemSealed internal/evidence.TestConsentGates", ""},
	40: {"Object Lock over envelopes refused at start.", "internal/objects/s3.TestUnfit internal/vault.TestEnvelopesGo", ""},
}

const certificates = "the certificates of §10 are not written yet"

// TestPitfalls: every sentence of RULES §12 stands in the table as it stands there, and has a test that exists or a reason why not yet.
func TestPitfalls(t *testing.T) {
	text, err := os.ReadFile("../../api/rules.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(text), "\n## 12 ")
	if !found {
		t.Fatal("the rules have no section 12")
	}
	section, _, _ = strings.Cut(section, "\n## ")
	lines := regexp.MustCompile(`(?m)^([0-9]+)\. (.+)$`).FindAllStringSubmatch(section, -1)
	if len(lines) != len(pitfalls)-1 {
		t.Errorf("%d sentences in the rules, %d in the table", len(lines), len(pitfalls)-1)
	}
	named := regexp.MustCompile(`^((?:internal|cmd)/[a-z0-9/-]+)\.(Test[A-Za-z0-9]+)$`)
	for i, line := range lines {
		n, _ := strconv.Atoi(line[1])
		if n != i+1 || n >= len(pitfalls) {
			t.Fatalf("line %d is number %s", i+1, line[1])
		}
		p := pitfalls[n]
		switch {
		case p.sentence != line[2]:
			t.Errorf("%d: the rules say %q, the table %q", n, line[2], p.sentence)
		case p.tests == "" && p.later == "":
			t.Errorf("%d: neither a test nor a reason", n)
		}
		for test := range strings.FieldsSeq(p.tests) {
			m := named.FindStringSubmatch(test)
			if m == nil || !tests(t, m[1])[m[2]] {
				t.Errorf("%d: there is no test %s", n, test)
			}
		}
	}
}

// tests are the names of a package's tests.
func tests(t *testing.T, dir string) map[string]bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("../..", filepath.FromSlash(dir), "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	names := make(map[string]bool)
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil {
				names[f.Name.Name] = true
			}
		}
	}
	return names
}
