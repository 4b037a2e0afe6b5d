// Plays the story of a client and a therapist with the client that @hey-api/openapi-ts generates.
//
// story.js URL: the front under test. It is compiled beside the generated client, in `generated`.

import assert from 'node:assert/strict';
import { randomBytes, randomUUID } from 'node:crypto';

import { type Client, createClient } from './generated/client/index.js';
import * as api from './generated/sdk.gen.js';
import type { ApiError, ErrorReason, TokenPair, UserRole } from './generated/types.gen.js';
import { pages } from './pages.js';

const PASSWORD = 'seven quiet herons';
const DAY = 24 * 3600 * 1000;

const baseUrl = process.argv[2];
assert(baseUrl);
const nobody = createClient({ baseUrl });

type Answer<Data, Failure> = { data?: Data; error?: Failure; response?: Response };

/** Asserts the status of a call and returns the body. */
async function ok<Data>(call: Promise<Answer<Data, ApiError>>, status = 200): Promise<NonNullable<Data>> {
    const { data, error, response } = await call;
    assert.equal(response?.status, status, `${response?.url}: ${JSON.stringify(error ?? data)}`);
    assert(data !== undefined && data !== null);
    return data;
}

/** Asserts that a call fails with this status and reason. */
async function refused(
    reason: ErrorReason,
    status: number,
    call: Promise<Answer<unknown, ApiError>>,
): Promise<void> {
    const { data, error, response } = await call;
    assert.equal(response?.status, status, `${response?.url}: ${JSON.stringify(error ?? data)}`);
    assert(error !== undefined);
    assert.deepEqual(error.details.flatMap((detail) => ('reason' in detail ? detail.reason : [])), [reason]);
}

/** A logged-in user. */
type Person = { email: string; id: string; joined: Date; client: Client; refreshToken: string };

function withTokens(pair: TokenPair): { client: Client; refreshToken: string } {
    return { client: createClient({ baseUrl, auth: pair.accessToken }), refreshToken: pair.refreshToken };
}

async function join(role: UserRole): Promise<Person> {
    const email = `${role.toLowerCase()}.${randomBytes(6).toString('hex')}@example.org`;
    const account = { email, password: PASSWORD, role };
    const user = await ok(api.register({ client: nobody, body: account }), 201);
    const pair = await ok(api.login({ client: nobody, body: { email, password: PASSWORD } }));
    assert.deepEqual(pair.user, user);
    const person = { email, id: user.userId, joined: new Date(user.createdAt), ...withTokens(pair) };
    assert.deepEqual(await ok(api.getMe({ client: person.client })), user);
    return person;
}

/** Both register and create profiles; each finds the other. */
async function meet(): Promise<[Person, Person]> {
    const [asha, noor] = [await join('CLIENT'), await join('THERAPIST')];
    const client = { name: 'Asha Rao', email: asha.email, pincode: '110002' };
    assert.equal((await ok(api.createClient({ client: asha.client, body: client }), 201)).clientId, asha.id);
    const name = `Noor Haddad ${randomBytes(4).toString('hex')}`;
    const therapist = { name, email: noor.email, specialty: 'Grief', pincode: '110001' };
    await ok(api.createTherapist({ client: noor.client, body: therapist }), 201);
    await refused('PROFILE_EXISTS', 409, api.createTherapist({ client: noor.client, body: therapist }));

    const query = { specialty: 'grief', name: name.toLowerCase() };
    const therapists = await ok(api.listTherapists({ client: asha.client, query }));
    assert.deepEqual(therapists.map((found) => found.therapistId), [noor.id]);
    const invitation = { email: asha.email, requestType: 'MAPPING' } as const;
    await ok(api.createInvitation({ client: noor.client, body: invitation }), 202);
    assert.deepEqual(await ok(api.listClients({ client: noor.client, query: { email: asha.email } })), []);
    const pair = await ok(api.refresh({ client: nobody, body: { refreshToken: noor.refreshToken } }));
    return [asha, { ...noor, ...withTokens(pair) }];
}

/** The client accepts the invitation; the therapist asks for the journal, and the client accepts. */
async function agree(asha: Person, noor: Person): Promise<void> {
    const path = { clientId: asha.id };
    const query = { therapistId: noor.id };
    const waiting = await ok(api.listConsentRequests({ client: asha.client, path }));
    assert.deepEqual(waiting.map((request) => [request.therapistId, request.requestType]), [[noor.id, 'MAPPING']]);
    const answer = { client: asha.client, path, query, body: { status: 'ACCEPTED' } } as const;
    assert.equal((await ok(api.answerMappingRequest(answer))).mappingStatus, 'ACTIVE');

    await refused('NOT_FOUND', 404, api.listEntries({ client: noor.client, path }));
    await ok(api.requestConsent({ client: noor.client, path, body: { requestType: 'JOURNAL_ACCESS' } }), 201);
    const change = { client: asha.client, path, query, body: { access: 'ACCEPTED' } } as const;
    assert.equal((await ok(api.updateJournalAccess(change))).journalAccess, 'ACCEPTED');
}

/** Entries are written once, however often they are sent, and read page by page. */
async function write(asha: Person, noor: Person): Promise<void> {
    const path = { clientId: asha.id };
    for (const intensity of [1, 2, 3]) {
        const visibility = intensity === 2 ? 'PRIVATE' : 'SHARED';
        const timestamp = new Date(asha.joined.getTime() - intensity * DAY).toISOString();
        const body = { emotion: 'lonely', intensity, visibility, timestamp, note: 'The flat was so quiet.' } as const;
        const request = { client: asha.client, path, body, headers: { 'Idempotency-Key': randomUUID() } };
        const made = await ok(api.createEntry(request), 201);
        assert.deepEqual(await ok(api.createEntry(request), 201), made);
    }

    const read: number[] = [];
    const shared = pages((pageToken) => {
        return api.listEntries({ client: noor.client, path, query: { pageSize: 1, pageToken } });
    });
    for await (const entry of shared) {
        read.push(entry.intensity);
    }
    assert.deepEqual(read, [1, 3]);

    const bad = { emotion: 'lonely', intensity: 9, timestamp: asha.joined.toISOString() };
    await refused('INVALID_FIELDS', 400, api.createEntry({ client: asha.client, path, body: bad }));
    await refused('ROLE_NOT_ALLOWED', 403, api.createEntry({ client: noor.client, path, body: bad }));
    await refused('TOKEN_MISSING', 401, api.listEntries({ client: nobody, path }));
}

/** The client asks for a session, and the therapist accepts. */
async function book(asha: Person, noor: Person): Promise<void> {
    const date = new Date(asha.joined.getTime() + 7 * DAY).toISOString().slice(0, 10);
    const sessionDate = `${date}T00:00:00+05:30`;
    const slot = { sessionDate, startTime: '10:00', endTime: '10:50', privateNotes: 'The flat.' };
    const session = await ok(api.createSession({ client: noor.client, body: slot }), 201);
    assert.equal(session.sessionDate, sessionDate);
    const query = { therapistId: noor.id, status: 'AVAILABLE' } as const;
    const available = await ok(api.listSessions({ client: asha.client, query }));
    assert.deepEqual(available.map((found) => [found.sessionId, found.privateNotes]), [[session.sessionId, '']]);

    const wanted = { therapistId: noor.id, appointmentDate: `${date}T10:00:00+05:30`, sessionId: session.sessionId };
    const asked = await ok(api.createAppointment({ client: asha.client, body: wanted }), 201);
    const waiting = await ok(api.listAppointments({ client: noor.client, query: { status: 'PENDING' } }));
    assert.deepEqual(waiting.map((appointment) => appointment.clientId), [asha.id]);
    const path = { appointmentId: asked.appointmentId };
    const body = { status: 'ACCEPTED', etag: asked.etag } as const;
    await ok(api.updateAppointmentStatus({ client: noor.client, path, body }));
    assert.equal((await ok(api.getAppointmentStatus({ client: asha.client, path }))).status, 'ACCEPTED');
    const booked = await ok(api.getSession({ client: asha.client, path: { sessionId: session.sessionId } }));
    assert.deepEqual([booked.status, booked.clientId, booked.privateNotes], ['BOOKED', asha.id, '']);
}

/** They exchange messages; one watches, and both see the same conversation. */
async function talk(asha: Person, noor: Person): Promise<void> {
    const first = { receiverId: noor.id, message: 'Could we find another day?' };
    const sent = await ok(api.sendMessage({ client: asha.client, body: first }), 201);
    const query = { peerId: noor.id, after: sent.messageId };
    const end = new AbortController();
    const { stream } = await api.watchConversationEvents({ client: asha.client, query, signal: end.signal });
    const next = stream.next();
    await ok(api.sendMessage({ client: noor.client, body: { receiverId: asha.id, message: 'Of course.' } }), 201);
    const heard: unknown = (await next).value;
    assert(typeof heard === 'object' && heard !== null && 'message' in heard);
    assert.equal(heard.message, 'Of course.');
    end.abort();

    const pair = { senderId: asha.id, receiverId: noor.id };
    const [ofAsha, ofNoor] = [
        await ok(api.listMessages({ client: asha.client, query: pair })),
        await ok(api.listMessages({ client: noor.client, query: pair })),
    ];
    assert.deepEqual(ofAsha, ofNoor);
    assert.deepEqual(ofAsha.map((message) => message.message), ['Of course.', 'Could we find another day?']);
}

/** The client's account is deleted with its data. */
async function part(asha: Person, noor: Person): Promise<void> {
    const ended = await api.deleteClient({ client: asha.client, path: { clientId: asha.id } });
    assert.equal(ended.response?.status, 204);
    await refused('ACCOUNT_ENDED', 401, api.getMe({ client: asha.client }));
    await refused('NOT_FOUND', 404, api.listEntries({ client: noor.client, path: { clientId: asha.id } }));
}

const [asha, noor] = await meet();
await agree(asha, noor);
await write(asha, noor);
await book(asha, noor);
await talk(asha, noor);
await part(asha, noor);
console.log('played');
