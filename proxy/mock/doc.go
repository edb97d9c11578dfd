// Package mock answers one question: what can a client, a test or a gateway
// talk to when no account with a provider is at hand? It stands in for the
// HTTP APIs of OpenAI (chat completions, responses, embeddings, models),
// Anthropic (messages, count_tokens, models) and Gemini (generateContent,
// streamGenerateContent, countTokens, models), and can fail on request in every
// way that a real one does.
//
//  1. locate finds by the path what is asked for, and so whose shapes to speak.
//     Whatever stands before the known end of the path is tolerated.
//  2. The body is read whole and handed to Options.OnRequest. No credential is
//     asked for, looked at or kept.
//  3. The wire format reads it into a prompt. What it cannot read is refused in
//     the shape, and with the status, that the real API uses.
//  4. compose makes the answer: the same text for the same prompt, cut into
//     tokens. An unstreamed answer and a streamed one are one answer, so their
//     usage is equal.
//  5. The model's name may ask for a fault: Models lists them. Any other name
//     is a model without one.
//  6. The wire format writes the answer, whole or as a script of events, and
//     the player sends it at the pace asked for: token i is due at start + TTFT
//     + i/TokensPerSecond, whatever the tokens before it took. Where the first
//     is not due yet the head of a stream goes out at once; an answer that is
//     not streamed comes, head and body, after the TTFT.
//
// A token, here, is up to eight characters of a word together with the white
// space before it. The input counted is every text of the prompt, the
// definitions of its tools, and three for each message.
//
// A prompt that says "use the tool" and offers tools, or whose tool_choice
// forces one, is answered with a call of the first (or the named) tool; its
// arguments are made up from the required properties of the schema.
//
// The package does not judge who calls, keeps nothing between requests, holds
// no conversation, and imports nothing of ours.
package mock
