// The storage interface of node-oidc-provider on Redis, as few round trips as it allows: one
// command to read, one transaction to write. A model whose values are consumed is a hash, so that
// marking it costs one small write; all others are strings.

import { Redis } from 'ioredis';

const CONSUMED = new Set(['AuthorizationCode', 'RefreshToken', 'DeviceCode', 'BackchannelAuthenticationRequest']);
const REVOKED_WITH_GRANT = new Set([...CONSUMED, 'AccessToken']);

export function redisAdapter(url) {
  const redis = new Redis(url, { keyPrefix: 'oidc:' });

  return class RedisAdapter {
    constructor(model) {
      this.model = model;
      this.isConsumed = CONSUMED.has(model);
      this.isRevokedWithGrant = REVOKED_WITH_GRANT.has(model);
    }

    async upsert(id, payload, expiresIn) {
      const key = `${this.model}:${id}`;
      const text = JSON.stringify(payload);
      const write = redis.multi();
      if (this.isConsumed) write.hset(key, 'payload', text).expire(key, expiresIn);
      else if (expiresIn) write.set(key, text, 'EX', expiresIn);
      else write.set(key, text);
      if (this.isRevokedWithGrant && payload.grantId) {
        const members = `members:${payload.grantId}`;
        // The list must outlive its longest member; GT keeps a later expiry that is already set.
        write.rpush(members, key).expire(members, expiresIn, 'NX').expire(members, expiresIn, 'GT');
      }
      if (payload.userCode) write.set(`usercode:${payload.userCode}`, id, 'EX', expiresIn);
      if (this.model === 'Session') write.set(`uid:${payload.uid}`, id, 'EX', expiresIn);
      await write.exec();
    }

    async find(id) {
      const key = `${this.model}:${id}`;
      if (!this.isConsumed) {
        const text = await redis.get(key);
        return text ? JSON.parse(text) : undefined;
      }
      const [text, consumed] = await redis.hmget(key, 'payload', 'consumed');
      if (!text) return undefined;
      const payload = JSON.parse(text);
      if (consumed) payload.consumed = Number(consumed);
      return payload;
    }

    async findByUid(uid) {
      const id = await redis.get(`uid:${uid}`);
      return id ? this.find(id) : undefined;
    }

    async findByUserCode(userCode) {
      const id = await redis.get(`usercode:${userCode}`);
      return id ? this.find(id) : undefined;
    }

    async consume(id) {
      await redis.hset(`${this.model}:${id}`, 'consumed', Math.floor(Date.now() / 1000));
    }

    async destroy(id) {
      await redis.del(`${this.model}:${id}`);
    }

    async revokeByGrantId(grantId) {
      const members = `members:${grantId}`;
      const keys = await redis.lrange(members, 0, -1);
      await redis.del(members, ...keys);
    }
  };
}
