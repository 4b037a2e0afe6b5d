// Plays the story of a client and a therapist with openapi-fetch and the types that openapi-typescript generates.
//
// story_fetch.js URL: the front under test. It is compiled beside the generated types, in `schema.ts`.

import assert from 'node:assert/strict';
import { randomBytes, randomUUID } from 'node:crypto';

import createClient, { type Client } from 'openapi-fetch';

import { pages } from './pages.js';
import type { components, paths } from './schema.js';

type ApiError = components['schemas']['ApiError'];
type ErrorReason = components['schemas']['ErrorReason'];

const PASSWORD = 'seven quiet herons';
const DAY = 24 * 3600 * 1000;

const baseUrl = process.argv[2];
assert(baseUrl);
const nobody = createClient<paths>({ baseUrl });

type Answer<Data> = { data?: Data; error?: ApiError; response: Response };

/** Asserts the status of a call and returns the body. */
async function ok<Data>(call: Promise<Answer<Data>>, status = 200): Promise<Data> {
    const { data, error, response } = await call;
    assert.equal(response.status, status, `${response.url}: ${JSON.stringify(error ?? data)}`);
    assert(data !== undefined);
    return data;
}

/** Asserts that a call fails with this status and reason. */
async function refused(reason: ErrorReason, status: number, call: Promise<Answer<unknown>>): Promise<void> {
    const { data, error, response } = await call;
    assert.equal(response.status, status, `${response.url}: ${JSON.stringify(error ?? data)}`);
    assert(error !== undefined);
    assert.deepEqual(error.details.flatMap((detail) => ('reason' in detail ? detail.reason : [])), [reason]);
}

/** A logged-in user. */
type Person = { email: string; id: string; joined: Date; api: Client<paths> };

async function join(role: components['schemas']['UserRole']): Promise<Person> {
    const email = `${role.toLowerCase()}.${randomBytes(6).toString('hex')}@example.org`;
    const user = await ok(nobody.POST('/auth/register', { body: { email, password: PASSWORD, role } }), 201);
    const pair = await ok(nobody.POST('/auth/login', { body: { email, password: PASSWORD } }));
    const api = createClient<paths>({ baseUrl, headers: { Authorization: `Bearer ${pair.accessToken}` } });
    assert.deepEqual(await ok(api.GET('/auth/me')), user);
    return { email, id: user.userId, joined: new Date(user.createdAt), api };
}

/** Both register and create profiles; the client maps the therapist. */
async function meet(): Promise<[Person, Person]> {
    const [asha, noor] = [await join('CLIENT'), await join('THERAPIST')];
    const client = { name: 'Asha Rao', email: asha.email, pincode: '110002' };
    assert.equal((await ok(asha.api.POST('/clients', { body: client }), 201)).clientId, asha.id);
    const name = `Noor Haddad ${randomBytes(4).toString('hex')}`;
    const therapist = { name, email: noor.email, specialty: 'Grief', pincode: '110001' };
    await ok(noor.api.POST('/therapists', { body: therapist }), 201);
    await refused('PROFILE_EXISTS', 409, noor.api.POST('/therapists', { body: therapist }));

    const query = { specialty: 'grief', name: name.toLowerCase() };
    const found = await ok(asha.api.GET('/therapists', { params: { query } }));
    assert.deepEqual(found.map((therapist) => therapist.therapistId), [noor.id]);
    const path = { clientId: asha.id };
    const mapped = await ok(
        asha.api.POST('/mapping/{clientId}', { params: { path }, body: { therapistId: noor.id } }),
        201,
    );
    assert.equal(mapped.mappingStatus, 'ACTIVE');
    return [asha, noor];
}

/** Entries are written once, however often they are sent, and read page by page once the client grants access. */
async function write(asha: Person, noor: Person): Promise<void> {
    const path = { clientId: asha.id };
    for (const intensity of [1, 2, 3]) {
        const visibility = intensity === 2 ? 'PRIVATE' : 'SHARED';
        const timestamp = new Date(asha.joined.getTime() - intensity * DAY).toISOString();
        const body = { emotion: 'lonely', intensity, visibility, timestamp, note: 'The flat was so quiet.' } as const;
        const request = { params: { path, header: { 'Idempotency-Key': randomUUID() } }, body };
        const made = await ok(asha.api.POST('/journal/{clientId}', request), 201);
        assert.deepEqual(await ok(asha.api.POST('/journal/{clientId}', request), 201), made);
    }

    await refused('NOT_FOUND', 404, noor.api.GET('/journal/{clientId}', { params: { path } }));
    const query = { therapistId: noor.id };
    const grant = { params: { path, query }, body: { access: 'ACCEPTED' } } as const;
    assert.equal((await ok(asha.api.PUT('/journal/{clientId}/access', grant))).journalAccess, 'ACCEPTED');
    const read: number[] = [];
    const shared = pages((pageToken) => {
        return noor.api.GET('/journal/{clientId}', { params: { path, query: { pageSize: 1, pageToken } } });
    });
    for await (const entry of shared) {
        read.push(entry.intensity);
    }
    assert.deepEqual(read, [1, 3]);

    const body = { emotion: 'lonely', intensity: 9, timestamp: asha.joined.toISOString() };
    await refused('INVALID_FIELDS', 400, asha.api.POST('/journal/{clientId}', { params: { path }, body }));
    await refused('ROLE_NOT_ALLOWED', 403, noor.api.POST('/journal/{clientId}', { params: { path }, body }));
    await refused('TOKEN_MISSING', 401, nobody.GET('/journal/{clientId}', { params: { path } }));
}

/** The client asks for a session, and the therapist accepts. */
async function book(asha: Person, noor: Person): Promise<void> {
    const date = new Date(asha.joined.getTime() + 7 * DAY).toISOString().slice(0, 10);
    const slot = { sessionDate: `${date}T00:00:00+05:30`, startTime: '10:00', endTime: '10:50' };
    const { sessionId } = await ok(noor.api.POST('/sessions', { body: slot }), 201);
    const wanted = { therapistId: noor.id, appointmentDate: `${date}T10:00:00+05:30`, sessionId };
    const { appointmentId } = await ok(asha.api.POST('/appointments', { body: wanted }), 201);
    const path = { appointmentId };
    const body = { status: 'ACCEPTED' } as const;
    await ok(noor.api.PUT('/appointments/{appointmentId}/status', { params: { path }, body }));
    const { status } = await ok(asha.api.GET('/appointments/{appointmentId}/status', { params: { path } }));
    assert.equal(status, 'ACCEPTED');
    const booked = await ok(asha.api.GET('/sessions/{sessionId}', { params: { path: { sessionId } } }));
    assert.deepEqual([booked.status, booked.clientId], ['BOOKED', asha.id]);
}

/** They exchange messages, and the client's account is deleted with its data. */
async function part(asha: Person, noor: Person): Promise<void> {
    await ok(asha.api.POST('/messages', { body: { receiverId: noor.id, message: 'Another day?' } }), 201);
    const query = { senderId: asha.id, receiverId: noor.id };
    const messages = await ok(noor.api.GET('/messages/history', { params: { query } }));
    assert.deepEqual(messages.map((message) => message.message), ['Another day?']);

    const path = { clientId: asha.id };
    const { response } = await asha.api.DELETE('/clients/{clientId}', { params: { path } });
    assert.equal(response.status, 204);
    await refused('ACCOUNT_ENDED', 401, asha.api.GET('/auth/me'));
    await refused('NOT_FOUND', 404, noor.api.GET('/journal/{clientId}', { params: { path } }));
}

const [asha, noor] = await meet();
await write(asha, noor);
await book(asha, noor);
await part(asha, noor);
console.log('played');
