package api

// Setting is one setting of a gateway, as config show prints it.
type Setting struct {
	Name   string `json:"name"`
	Value  string `json:"value"` // *** where it is a secret
	Origin string `json:"origin" enum:"default,file,env,flag"`
	Source string `json:"source,omitempty"` // the variable, file or flag
}
