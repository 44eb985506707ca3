// Lists, creates, retrieves, updates and deletes users with each client, and
// looks at what comes back. The address of a Roster is the argument.
import assert from 'node:assert/strict';
import Firefly from 'firefly-iii-api';
import sdk from 'firefly-iii-typescript-sdk-fetch';

const address = process.argv[2];
const token = process.env.ROSTER_ADMIN_TOKEN;

const stainless = {
  name: 'firefly-iii-api',
  client(bearerToken) {
    const users = new Firefly({ baseURL: `${address}/api`, bearerToken, maxRetries: 0 }).users;
    return {
      list: (page, limit) => users.list({ page, limit }),
      create: (user) => users.create(user),
      retrieve: (id) => users.retrieve(id),
      update: (id, user) => users.update(id, user),
      delete: (id) => users.delete(id),
    };
  },
  failure: (error) => ({ status: error.status, body: error.error }),
  attributes: (user) => user.attributes,
  self: (user) => user.links.self,
};

const generated = {
  name: 'firefly-iii-typescript-sdk-fetch',
  client(bearerToken) {
    const configuration = new sdk.Configuration({ basePath: address, accessToken: `Bearer ${bearerToken}`, fetchApi: fetch });
    const users = new sdk.UsersApi(configuration);
    const sent = ({ blocked_code: blockedCode, ...user }) => ({ ...user, blockedCode });
    return {
      list: (page) => users.listUser({ page }),
      create: (user) => users.storeUser({ user: sent(user) }),
      retrieve: (id) => users.getUser({ id }),
      update: (id, user) => users.updateUser({ id, user: sent(user) }),
      delete: (id) => users.deleteUser({ id }),
    };
  },
  failure: async (response) => ({ status: response.status, body: await response.json() }),
  attributes: ({ attributes: { blockedCode, createdAt, updatedAt, ...user } }) => ({
    ...user,
    blocked_code: blockedCode,
    created_at: createdAt.toISOString(),
    updated_at: updatedAt.toISOString(),
  }),
  self: (user) => user.links.self,
};

async function check({ name, client, failure, attributes, self }) {
  const users = client(token);
  const fails = async (call, status, body) => {
    const error = await call.then(() => assert.fail('should have failed'), failure);
    assert.equal(error.status, status);
    for (const [key, value] of Object.entries(body)) assert.deepEqual(error.body[key], value);
  };
  const recent = (time) => assert.ok(Math.abs(Date.now() - new Date(time)) < 60_000, time);

  const before = (await users.list()).meta.pagination.total;

  const email = `${name}@example.com`;
  const { data: created } = await users.create({ email, blocked: true, blocked_code: 'email_changed' });
  assert.equal(created.type, 'users');
  assert.match(created.id, /^[1-9][0-9]*$/);
  assert.equal(self(created), `/api/v1/users/${created.id}`);
  const { created_at, updated_at, ...rest } = attributes(created);
  assert.deepEqual(rest, { email, blocked: true, blocked_code: 'email_changed', role: rest.role });
  assert.ok(rest.role == null);
  recent(created_at);
  recent(updated_at);

  const { data: retrieved } = await users.retrieve(created.id);
  assert.deepEqual(retrieved, created);

  const other = `other.${email}`;
  const { data: updated } = await users.update(created.id, { email: other, blocked: false });
  assert.equal(updated.id, created.id);
  assert.equal(attributes(updated).email, other);
  assert.equal(attributes(updated).blocked, false);
  assert.ok(attributes(updated).blocked_code == null);

  const { data: second } = await users.create({ email, blocked: false });
  const { data: listed, meta, links } = await users.list(1, 50);
  assert.deepEqual(listed.slice(0, 2).map(({ id }) => id), [second.id, created.id]);
  const { pagination } = meta;
  assert.equal(pagination.total, before + 2);
  assert.equal(pagination.count, before + 2);
  assert.equal(pagination.perPage ?? pagination.per_page, 50);
  assert.equal(pagination.currentPage ?? pagination.current_page, 1);
  assert.equal(pagination.totalPages ?? pagination.total_pages, 1);
  assert.ok(links.self.startsWith('/api/v1/users?') && links.first && links.last);
  assert.equal((await users.list(2, 50)).data.length, 0);

  await fails(users.create({ email: other.toUpperCase(), blocked: false }), 422, {
    message: 'The email address has already been taken.',
    errors: { email: ['The email address has already been taken.'] },
  });
  await fails(users.create({ email: `third.${email}` }), 422, { errors: { blocked: ['The blocked field is required.'] } });
  await fails(users.retrieve('999999'), 404, { message: 'Resource not found', exception: 'NotFoundHttpException' });
  await fails(client('wrong').list(), 401, { message: 'Unauthenticated', exception: 'AuthenticationException' });

  for (const { id } of [created, second]) {
    await users.delete(id);
    await fails(users.retrieve(id), 404, { exception: 'NotFoundHttpException' });
  }
  assert.equal((await users.list()).meta.pagination.total, before);
  console.log(`${name}: well`);
}

for (const each of [stainless, generated]) await check(each);
