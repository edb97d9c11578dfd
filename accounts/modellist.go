package accounts

// ModelList is the request that lists the models of an upstream, less its
// credential.
type ModelList struct {
	Path   string // to be put behind the upstream's URL as a caller's path is
	Query  string
	Header map[string]string // names are canonical
}

// ModelList tells how a provider lists its models. ok is false for one that
// does not where requests go: Bedrock has another host for it.
func (p Provider) ModelList() (list ModelList, ok bool) {
	switch p {
	case ProviderAnthropic: // https://docs.anthropic.com/en/api/models-list
		return ModelList{Path: "/v1/models", Query: "limit=1000", Header: map[string]string{"Anthropic-Version": "2023-06-01"}}, true
	case ProviderGemini: // https://ai.google.dev/api/models#method:-models.list
		return ModelList{Path: "/v1beta/models", Query: "pageSize=1000"}, true
	case ProviderAzure:
		return ModelList{Path: "/openai/v1/models"}, true
	case ProviderBedrock:
		return ModelList{}, false
	}
	return ModelList{Path: "/v1/models"}, true
}
