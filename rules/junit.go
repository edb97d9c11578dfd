package rules

import (
	"encoding/xml"
	"fmt"
	"slices"
	"strings"
)

// The elements of JUnit's report, as CI systems read it: one suite a file, with
// the place of each test. There are no times: nothing here asks a clock.
type (
	junitSuites struct {
		XMLName  xml.Name     `xml:"testsuites"`
		Tests    int          `xml:"tests,attr"`
		Failures int          `xml:"failures,attr"`
		Suites   []junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Name       string          `xml:"name,attr"`
		File       string          `xml:"file,attr"`
		Tests      int             `xml:"tests,attr"`
		Failures   int             `xml:"failures,attr"`
		Properties []junitProperty `xml:"properties>property"`
		Cases      []junitCase     `xml:"testcase"`
	}
	junitProperty struct {
		Name  string `xml:"name,attr"`
		Value string `xml:"value,attr"`
	}
	junitCase struct {
		Name    string        `xml:"name,attr"`
		Class   string        `xml:"classname,attr"`
		File    string        `xml:"file,attr"`
		Line    int           `xml:"line,attr"`
		Failure *junitFailure `xml:"failure"`
	}
	junitFailure struct {
		Message string `xml:"message,attr"`
		Text    string `xml:",chardata"`
	}
)

// JUnit writes the report as JUnit's XML, for CI systems. The rules that no test
// reached are a property of every suite, unreached-rule.
func (r *Report) JUnit() []byte {
	all := junitSuites{Tests: len(r.Results), Failures: r.Failed()}
	for i := range r.Results {
		suite := all.suite(r.Results[i].File, r.Unreached)
		suite.add(&r.Results[i])
	}
	text, err := xml.MarshalIndent(all, "", "  ")
	if err != nil {
		panic(fmt.Sprintf("rules: writing XML of our own making: %v", err))
	}
	return append([]byte(xml.Header), append(text, '\n')...)
}

// suite finds the suite of a file, or begins it.
func (a *junitSuites) suite(file string, unreached []string) *junitSuite {
	for i := range a.Suites {
		if a.Suites[i].File == file {
			return &a.Suites[i]
		}
	}
	suite := junitSuite{Name: "rules: " + file, File: file}
	for _, rule := range unreached {
		suite.Properties = append(suite.Properties, junitProperty{"unreached-rule", rule})
	}
	a.Suites = append(a.Suites, suite)
	return &a.Suites[len(a.Suites)-1]
}

func (s *junitSuite) add(r *Result) {
	s.Tests++
	c := junitCase{Name: r.Name, Class: r.File, File: r.File, Line: r.Line}
	if !r.Passed() {
		s.Failures++
		lines := slices.Concat(r.Diff, r.Reasons)
		c.Failure = &junitFailure{
			Message: strings.Join(lines, "; "),
			Text:    fmt.Sprintf("%s:%d:%d\n%s\n", r.File, r.Line, r.Column, strings.Join(lines, "\n")),
		}
	}
	s.Cases = append(s.Cases, c)
}
