// Reads lists page by page, with the client that @hey-api/openapi-ts generates and with openapi-fetch alike.

type Page<Item> = { data?: Item[]; error?: unknown; response?: Response };

/** Yields the items of all pages. `ask` requests the page of a token; the first page has none. */
export async function* pages<Item>(ask: (pageToken?: string) => Promise<Page<Item>>): AsyncGenerator<Item> {
    let pageToken: string | undefined;
    do {
        const { data, error, response } = await ask(pageToken);
        if (data === undefined) {
            throw new Error('a page could not be read', { cause: error });
        }
        yield* data;
        pageToken = response?.headers.get('x-next-page-token') ?? undefined;
    } while (pageToken !== undefined);
}
