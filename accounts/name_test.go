package accounts_test

import (
	"strings"
	"testing"

	"github.com/llmgw/llmgw/accounts"
)

func TestNamesOfMadeKeysAreNobodyElses(t *testing.T) {
	for name, valid := range map[string]bool{
		"run@laptop": true, "env@build-7.example": true,
		"": false, "run": false, "run@": false, "@laptop": false, "run@a@b": false, "Run@laptop": false,
		"run@lap top": false, "run@" + strings.Repeat("a", 60): false,
	} {
		if got := accounts.ValidLoanName(name); got != valid {
			t.Errorf("ValidLoanName(%q) = %v", name, got)
		}
		if valid && accounts.ValidName(name) {
			t.Errorf("an operator may choose %q", name)
		}
	}
}
